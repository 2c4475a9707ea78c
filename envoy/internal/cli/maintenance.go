package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// Keys that the shipped configuration has.
const (
	defaultKey      = "healthgate.maintenance"
	defaultRouteKey = "healthgate.route_maintenance"
)

// switching is the part that maintenance on, off and status share.
type switching struct {
	admins       admins
	runtimeDir   string
	subdirectory string
	rtdsFile     string
	wait         time.Duration
	dryRun       bool
	route        bool
	verify       []string
	unavailable  unavailable
	leaving      leaving // what follows when maintenance is on
	stepwise     bool    // shutdown and release, which say each step
	coming       bool    // release
	output       string
	clients      []*admin.Client
	layer        layer.Layer // what is written to; nil for the admin layer of each Envoy
	kind         reach.Kind  // of that layer
}

func newMaintenance() *cobra.Command {
	cmd := &cobra.Command{
		Use: "maintenance", SuggestFor: []string{"on", "off"},
		Short: "Take instances out of rotation and back, by a runtime key",
		Long: `Switches maintenance by a runtime key, and waits until each Envoy says so. Nothing drains: the load
balancer's checks get 503, running and new requests are served.

Where the key is written:
  --admin URL         Envoy's admin layer, at once, until Envoy restarts
  --runtime-dir DIR   a disk layer, which a restart keeps; DIR is its symlink_root, a link, made when it is not there
  --rtds-file FILE    a file that Envoy reads by RTDS
With --runtime-dir or --rtds-file, nothing is written to the --admin addresses; they only say whether it arrived.

Done means that each Envoy's configuration lets the key switch every check of its endpoints: in all listeners, filter
chains and virtual hosts that lead to the application. Where one gets past the plugin, or that can't be known, the exit
code is 1, and the message says what is in the way. --verify URL has a check itself say so, and settles it.

KEY is ` + defaultKey + ` unless given. On a key that holds a zone, write the zone: healthgate.maintenance.zone.eu-1a`,
		Example: `  healthgate maintenance on --admin http://127.0.0.1:9901 --for 30m --reason "disk swap, rack 4"
  healthgate maintenance on --admin 10.0.0.1:9901 --admin 10.0.0.2:9901 --until 06:00
  healthgate maintenance on --runtime-dir /var/lib/envoy/runtime/current --admin unix:///run/envoy/admin.sock
  healthgate maintenance off --admin 127.0.0.1:9901
  healthgate maintenance status --admin 127.0.0.1:9901`,
	}
	return group(cmd, interruptible(newOn()), interruptible(newOff()), interruptible(newMaintenanceStatus()))
}

func (s *switching) flags(cmd *cobra.Command, writes bool) {
	f := cmd.Flags()
	f.SortFlags = false
	s.admins.flags(f)
	if !s.stepwise {
		f.BoolVar(&s.route, "route", false, "KEY is that of a maintenance route, a percentage (default "+defaultRouteKey+")")
	}
	f.StringVarP(&s.output, "output", "o", "table",
		"`FORM` of what is written: table or json, an array with an object for each Envoy")
	if !writes {
		return
	}
	f.StringVar(&s.runtimeDir, "runtime-dir", "", "write to a disk layer; `DIR` is its symlink_root")
	f.StringVar(&s.subdirectory, "subdirectory", "",
		"`DIR` below the symlink_root that holds the keys; . for none (default: what Envoy's admin says)")
	f.StringVar(&s.rtdsFile, "rtds-file", "", "write to an RTDS `FILE`")
	if s.stepwise {
		f.DurationVar(&s.wait, "timeout", time.Minute, "how long all of it may take with each Envoy")
		return
	}
	f.DurationVar(&s.wait, "wait", 10*time.Second, "how long each Envoy may take until it says so")
	f.StringArrayVar(&s.verify, "verify", nil,
		"a health check's `URL`, sent from here until it gets what is ordered; may be repeated: "+
			"with several --admin one for each, in their order")
	f.BoolVar(&s.dryRun, "dry-run", false, "say what would be done, and do nothing")
}

// key checks everything before anything is done, and returns the key.
func (s *switching) key(cmd *cobra.Command, args []string, writes bool) (string, error) {
	key := defaultKey
	if s.route {
		key = defaultRouteKey
	}
	if len(args) > 0 {
		key = args[0]
	}
	if err := layer.CheckKey(key); err != nil {
		return "", fmt.Errorf("KEY: %w", err)
	}
	if s.runtimeDir == "" && s.rtdsFile == "" {
		s.admins.orDefault()
	}
	if s.runtimeDir != "" && s.rtdsFile != "" {
		return "", errors.New("--runtime-dir and --rtds-file are two places for one key; choose one")
	}
	if writes && s.wait <= 0 {
		flag := "wait"
		if s.stepwise {
			flag = "timeout"
		}
		return "", &render.OptionError{Flag: flag, What: s.wait.String() + " is not a time to wait"}
	}
	var err error
	if s.clients, err = s.admins.clients(cmd); err != nil {
		return "", err
	}
	if s.output != "table" && s.output != "json" {
		return "", fmt.Errorf("--output: %q is neither table nor json", s.output)
	}
	for _, url := range s.verify {
		if err := report.CheckURL(url); err != nil {
			return "", fmt.Errorf("--verify: %w", err)
		}
	}
	if n := len(s.clients); len(s.verify) > 0 && (n == 0 || n > 1 && n != len(s.verify)) {
		return "", fmt.Errorf("--verify: give one URL for each --admin, in their order; there are %d and %d", len(s.verify),
			n)
	}
	if s.subdirectory != "" && s.runtimeDir == "" {
		return "", errors.New("--subdirectory is for --runtime-dir")
	}
	return key, s.openLayer()
}

// openLayer finds the layer that is written to, and checks that it can be.
func (s *switching) openLayer() error {
	switch {
	case s.runtimeDir != "":
		disk := layer.DiskLayer{Root: s.runtimeDir}
		if s.subdirectory != "" {
			disk.Subdirectory = &s.subdirectory
		}
		s.layer, s.kind = disk, reach.Disk
	case s.rtdsFile != "":
		s.layer, s.kind = layer.RTDSFile(s.rtdsFile), reach.RTDS
	default:
		s.kind = reach.Admin
		return nil
	}
	if err := s.layer.Check(); err != nil {
		return fmt.Errorf("%s: %w", s.flag(), err)
	}
	return nil
}

func newOn() *cobra.Command {
	var s switching
	var duration, until, reason string
	cmd := &cobra.Command{
		Use:   "on [KEY]",
		Short: "Take instances out of rotation",
		Example: `  healthgate maintenance on --admin 127.0.0.1:9901 --for 30m --reason "disk swap, rack 4"
  healthgate maintenance on healthgate.maintenance.zone.eu-1a --rtds-file /etc/envoy/rtds.yaml --admin 127.0.0.1:9901
  healthgate maintenance on --route --admin 127.0.0.1:9901        # the very next check gets 503`,
		Args: takes("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(cmd, args, true)
			if err != nil {
				return err
			}
			o := order.Order{Key: key, Value: order.On, Reason: reason, On: true, Route: s.route}
			isFor, isUntil := cmd.Flags().Changed("for"), cmd.Flags().Changed("until")
			switch {
			case s.route && (isFor || isUntil):
				return errors.New("--for, --until: a route's key is a percentage, which can't end by itself; " +
					"use a key of maintenance.keys")
			case s.route:
				o.Value = order.RouteOn
			case isFor && isUntil:
				return errors.New("--for, --until: both say when it ends; give one of them")
			case isFor:
				if o.Value, err = order.For(duration, time.Now()); err != nil {
					return fmt.Errorf("--for: %w", err)
				}
				s.unavailable.span = duration
			case isUntil:
				if err := lostZone(until); err != nil {
					return fmt.Errorf("--until: %w", err)
				}
				var note string
				if o.Value, note, err = order.Until(until, time.Now()); err != nil {
					return fmt.Errorf("--until: %w", err)
				}
				if note != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: --until: %s\n", note)
				}
			}
			if err := order.CheckReason(reason); err != nil {
				return fmt.Errorf("--reason: %w", err)
			}
			if s.leaving.any() {
				switch {
				case s.dryRun:
					return errors.New("--dry-run: does not wait; leave out --wait-checks and --wait-idle")
				case len(s.clients) == 0:
					return errors.New("--wait-checks, --wait-idle: ask an Envoy, and none is given: --admin ADDRESS")
				case !cmd.Flags().Changed("wait"):
					s.wait = time.Minute
				}
			}
			if err := s.leaving.check(cmd, s.wait); err != nil {
				return err
			}
			return s.order(cmd, o)
		},
	}
	s.flags(cmd, true)
	cmd.Flags().StringVar(&duration, "for", "", "end by itself after this `TIME`, such as 30m or 1h30m")
	cmd.Flags().StringVar(&until, "until", "",
		"end by itself at this `TIME`: 2026-12-01T06:00:00Z, \"2026-12-01 06:00\" or 06:00 (local)")
	cmd.Flags().StringVar(&reason, "reason", "", "a `TEXT` for the log and the status page")
	s.unavailable.flags(cmd, "with --for it goes on when they are back")
	s.leaving.flags(cmd, 0)
	cmd.Flags().BoolVar(&s.leaving.idle, "wait-idle", false,
		"wait until no request runs; with this or --wait-checks, --wait is 1m unless given")
	return cmd
}

// lostZone refuses a local time in a time zone that could not be loaded, which is UTC for Go.
func lostZone(until string) error {
	zone := strings.TrimPrefix(os.Getenv("TZ"), ":")
	if _, is := order.Exact(until); is || zone == "" || zone == "UTC" || time.Local.String() != "UTC" {
		return nil
	}
	return fmt.Errorf("TZ is %q, a time zone that cannot be loaded here: "+
		"give the time with its offset, such as 2026-12-01T06:00:00+01:00", zone)
}

func newOff() *cobra.Command {
	var s switching
	var override bool
	ofOn := []string{"for", "until", "reason"} // known here for a better answer than "unknown flag"
	cmd := &cobra.Command{
		Use:   "off [KEY]",
		Short: "Take instances back into rotation",
		Long: `Takes the key and its reason out of the layer that is written to. When another layer has the key, too,
that one then decides: take it back there, or say --override.

A disk layer or RTDS file that does not exist is wrong input, exit code 2: there is nothing to take out of it.`,
		Example: `  healthgate maintenance off --admin 127.0.0.1:9901
  healthgate maintenance off --runtime-dir /var/lib/envoy/runtime/current --admin 127.0.0.1:9901`,
		Args: takes("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(cmd, args, true)
			if err != nil {
				return err
			}
			for _, flag := range ofOn {
				if cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s: is for on; off takes the key and its reason out now", flag)
				}
			}
			o := order.Order{Key: key, Route: s.route}
			if override {
				if o.Value = order.Off; s.route {
					o.Value = "0"
				}
			}
			return s.order(cmd, o)
		},
	}
	s.flags(cmd, true)
	for _, flag := range ofOn {
		cmd.Flags().String(flag, "", "")
		_ = cmd.Flags().MarkHidden(flag)
	}
	cmd.Flags().BoolVar(&override, "override", false,
		"set the key to false instead of taking it out, over what earlier layers say")
	return cmd
}

func newMaintenanceStatus() *cobra.Command {
	var s switching
	cmd := &cobra.Command{
		Use:     "status [KEY]",
		Short:   "Show what each Envoy says of a key",
		Example: `  healthgate maintenance status --admin 127.0.0.1:9901 --admin unix:///run/envoy/admin.sock`,
		Args:    takes("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(cmd, args, false)
			if err != nil {
				return err
			}
			states, processes := make([]order.State, len(s.clients)), make([]string, len(s.clients))
			notes := s.admins.latest(cmd.Context(), len(states), func(i int) bool {
				defer s.clients[i].Close()
				e := order.Ask(cmd.Context(), s.clients[i], key, s.route)
				states[i], processes[i] = e.Report(), e.Process()
				return false
			})
			met := report.Met{}
			for i := range states {
				if states[i].Error == "" && notes[i] != "" {
					states[i].Notes = append(states[i].Notes, notes[i])
				}
				if again := met.Again(processes[i], states[i].Envoy); again != "" {
					states[i].Notes = append(states[i].Notes, again)
				}
			}
			if errors.Is(cmd.Context().Err(), context.Canceled) {
				if s.output != "json" {
					return failure{errInterrupted}
				}
				for i, client := range s.clients {
					states[i] = order.State{Envoy: client.Name, Key: key, Error: errInterrupted.Error()}
				}
			}
			return s.report(cmd, key, states)
		},
	}
	s.flags(cmd, false)
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/envoy/operator/admin"
	"github.com/healthgate/healthgate/envoy/operator/layer"
	"github.com/healthgate/healthgate/envoy/operator/maintenance"
	"github.com/healthgate/healthgate/envoy/operator/render"
	"github.com/spf13/cobra"
)

// Keys that the shipped configuration has.
const (
	defaultKey      = "healthgate.maintenance"
	defaultRouteKey = "healthgate.route_maintenance"
)

// switching is the part that maintenance on, off and status share.
type switching struct {
	admins       []string
	runtimeDir   string
	subdirectory string
	rtdsFile     string
	wait         time.Duration
	dryRun       bool
	route        bool
	clients      []*admin.Client
	layer        layer.Layer // what is written to; nil for the admin layer of each Envoy
}

func newMaintenance() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "maintenance",
		Short: "Take instances out of rotation and back, by a runtime key",
		Long: `Switches maintenance by a runtime key, and waits until each Envoy says so. Nothing drains: the load balancer's checks
get 503, running and new requests are served.

Where the key is written:
  --admin URL         Envoy's admin layer, at once, until Envoy restarts
  --runtime-dir DIR   a disk layer, which a restart keeps; DIR is its symlink_root, a link, made when it is not there
  --rtds-file FILE    a file that Envoy reads by RTDS
With --runtime-dir or --rtds-file, nothing is written to the --admin addresses; they only say whether it arrived.

KEY is ` + defaultKey + ` unless given. On a key that holds a zone, write the zone: healthgate.maintenance.zone.eu-1a`,
		Example: `  healthgate maintenance on --admin http://127.0.0.1:9901 --for 30m --reason "disk swap, rack 4"
  healthgate maintenance on --admin 10.0.0.1:9901 --admin 10.0.0.2:9901 --until 06:00
  healthgate maintenance on --runtime-dir /var/lib/envoy/runtime/current --admin unix:///run/envoy/admin.sock
  healthgate maintenance off --admin 127.0.0.1:9901
  healthgate maintenance status --admin 127.0.0.1:9901`,
	}
	return group(cmd, newOn(), newOff(), newMaintenanceStatus())
}

func (s *switching) flags(cmd *cobra.Command, writes bool) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&s.admins, "admin", nil, "an Envoy's admin `ADDRESS`: http://HOST:PORT, HOST:PORT or unix:///PATH; may be repeated")
	f.BoolVar(&s.route, "route", false, "KEY is that of a maintenance route, a percentage (default "+defaultRouteKey+")")
	if !writes {
		return
	}
	f.StringVar(&s.runtimeDir, "runtime-dir", "", "write to a disk layer; `DIR` is its symlink_root")
	f.StringVar(&s.subdirectory, "subdirectory", "", "`DIR` below the symlink_root that holds the keys; . for none (default: what Envoy's admin says)")
	f.StringVar(&s.rtdsFile, "rtds-file", "", "write to an RTDS `FILE`")
	f.DurationVar(&s.wait, "wait", 10*time.Second, "how long each Envoy may take until it says so")
	f.BoolVar(&s.dryRun, "dry-run", false, "say what would be done, and do nothing")
}

// key checks everything before anything is done, and returns the key.
func (s *switching) key(args []string, writes bool) (string, error) {
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
	if strings.HasSuffix(key, ".reason") {
		return "", fmt.Errorf("KEY: %q is where a reason is kept; give the key without .reason, and --reason TEXT", key)
	}
	if len(s.admins) == 0 && s.runtimeDir == "" && s.rtdsFile == "" {
		where := "--admin ADDRESS"
		if writes {
			where += ", --runtime-dir DIR or --rtds-file FILE"
		}
		return "", errors.New("say which Envoy: " + where)
	}
	if s.runtimeDir != "" && s.rtdsFile != "" {
		return "", errors.New("--runtime-dir and --rtds-file are two places for one key; choose one")
	}
	if writes && s.wait <= 0 {
		return "", &render.OptionError{Flag: "wait", What: s.wait.String() + " is not a time to wait"}
	}
	for _, address := range s.admins {
		client, err := admin.New(address)
		if err != nil {
			return "", fmt.Errorf("--admin: %w", err)
		}
		s.clients = append(s.clients, client)
	}
	if s.subdirectory != "" && s.runtimeDir == "" {
		return "", errors.New("--subdirectory is for --runtime-dir")
	}
	return key, s.openLayer()
}

// openLayer finds the layer that is written to, and checks that it can be.
func (s *switching) openLayer() error {
	flag := "--runtime-dir"
	switch {
	case s.runtimeDir != "":
		disk := layer.DiskLayer{Root: s.runtimeDir}
		if s.subdirectory != "" {
			disk.Subdirectory = &s.subdirectory
		}
		s.layer = disk
	case s.rtdsFile != "":
		flag, s.layer = "--rtds-file", layer.RTDSFile(s.rtdsFile)
	default:
		return nil
	}
	if err := s.layer.Check(); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// askSubdirectory asks the Envoys where in their disk layer keys lie, if nobody said.
func (s *switching) askSubdirectory(ctx context.Context) error {
	disk, is := s.layer.(layer.DiskLayer)
	if !is || disk.Subdirectory != nil {
		return nil
	}
	for _, c := range s.clients {
		layers, err := c.DiskLayers(ctx)
		if err != nil {
			continue // what can't be asked is reported when it is waited for
		}
		if len(layers) == 0 {
			return fmt.Errorf("--runtime-dir: %s has no disk layer, so nothing that is written there reaches it", c.Name)
		}
		// Its path may be another one inside a container. That matters only if there are several.
		found := slices.DeleteFunc(slices.Clone(layers), func(l admin.DiskLayer) bool {
			return filepath.Clean(l.SymlinkRoot) != filepath.Clean(s.runtimeDir)
		})
		if len(found) == 0 {
			found = layers
		}
		for _, l := range found {
			if disk.Subdirectory != nil && *disk.Subdirectory != l.Folder {
				return fmt.Errorf("--runtime-dir: the Envoys' disk layers have their keys in different folders, %q and %q: say which with --subdirectory",
					*disk.Subdirectory, l.Folder)
			}
			disk.Subdirectory = &l.Folder
		}
	}
	s.layer = disk
	return nil
}

func newOn() *cobra.Command {
	var s switching
	var duration time.Duration
	var until, reason string
	cmd := &cobra.Command{
		Use:   "on [KEY]",
		Short: "Take instances out of rotation",
		Example: `  healthgate maintenance on --admin 127.0.0.1:9901 --for 30m --reason "disk swap, rack 4"
  healthgate maintenance on healthgate.maintenance.zone.eu-1a --rtds-file /etc/envoy/rtds.yaml --admin 127.0.0.1:9901
  healthgate maintenance on --route --admin 127.0.0.1:9901        # the very next check gets 503`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(args, true)
			if err != nil {
				return err
			}
			o := maintenance.Order{Key: key, Value: maintenance.On, Reason: reason, On: true, Route: s.route}
			switch {
			case s.route && (duration != 0 || until != ""):
				return errors.New("--for, --until: a route's key is a percentage, which can't end by itself; use a key of maintenance.keys")
			case s.route:
				o.Value = maintenance.RouteOn
			case cmd.Flags().Changed("for"):
				if o.Value, err = maintenance.For(duration, time.Now()); err != nil {
					return fmt.Errorf("--for: %w", err)
				}
			case cmd.Flags().Changed("until"):
				if o.Value, err = maintenance.Until(until, time.Now()); err != nil {
					return fmt.Errorf("--until: %w", err)
				}
			}
			if err := maintenance.CheckReason(reason); err != nil {
				return fmt.Errorf("--reason: %w", err)
			}
			return s.order(cmd, o)
		},
	}
	s.flags(cmd, true)
	cmd.Flags().DurationVar(&duration, "for", 0, "end by itself after this `TIME`, such as 30m or 1h30m")
	cmd.Flags().StringVar(&until, "until", "", "end by itself at this `TIME`: 2026-12-01T06:00:00Z, \"2026-12-01 06:00\" or 06:00 (local)")
	cmd.Flags().StringVar(&reason, "reason", "", "a `TEXT` for the log and the status page")
	cmd.MarkFlagsMutuallyExclusive("for", "until")
	return cmd
}

func newOff() *cobra.Command {
	var s switching
	var override bool
	cmd := &cobra.Command{
		Use:   "off [KEY]",
		Short: "Take instances back into rotation",
		Long: `Takes the key and its reason out of the layer that is written to. When another layer has the key, too, that one then
decides: take it back there, or say --override.

A disk layer or RTDS file that does not exist is wrong input, exit code 2: there is nothing to take out of it.`,
		Example: `  healthgate maintenance off --admin 127.0.0.1:9901
  healthgate maintenance off --runtime-dir /var/lib/envoy/runtime/current --admin 127.0.0.1:9901`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(args, true)
			if err != nil {
				return err
			}
			o := maintenance.Order{Key: key, Route: s.route}
			if override {
				if o.Value = maintenance.Off; s.route {
					o.Value = "0"
				}
			}
			return s.order(cmd, o)
		},
	}
	s.flags(cmd, true)
	cmd.Flags().BoolVar(&override, "override", false, "set the key to false instead of taking it out, over what earlier layers say")
	return cmd
}

func newMaintenanceStatus() *cobra.Command {
	var s switching
	cmd := &cobra.Command{
		Use:     "status [KEY]",
		Short:   "Show what each Envoy says of a key",
		Example: `  healthgate maintenance status --admin 127.0.0.1:9901 --admin unix:///run/envoy/admin.sock`,
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := s.key(args, false)
			if err != nil {
				return err
			}
			return s.report(cmd, key, s.each(func(c *admin.Client) maintenance.State {
				return maintenance.Read(cmd.Context(), c, key, time.Now())
			}))
		},
	}
	s.flags(cmd, false)
	return cmd
}

// order carries an order out, waits for each Envoy, and shows how it went.
func (s *switching) order(cmd *cobra.Command, o maintenance.Order) error {
	for flag, path := range map[string]string{"--runtime-dir": s.runtimeDir, "--rtds-file": s.rtdsFile} {
		if path == "" {
			continue
		}
		if err := layer.CheckRemoval(path, o.Change()); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	if s.dryRun {
		s.plan(cmd.OutOrStdout(), o)
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.wait)
	defer cancel()
	if err := s.askSubdirectory(ctx); err != nil {
		return failure{err}
	}
	before := map[*admin.Client]maintenance.State{}
	for i, state := range s.each(func(c *admin.Client) maintenance.State { return maintenance.Read(ctx, c, o.Key, time.Now()) }) {
		before[s.clients[i]] = state
	}
	if s.layer != nil {
		if err := s.layer.Apply(cmd.Context(), o.Change()); err != nil {
			if ambiguous := (*layer.AmbiguousError)(nil); errors.As(err, &ambiguous) {
				return fmt.Errorf("--subdirectory: %w", err)
			}
			return failure{err}
		}
	}
	if len(s.clients) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "written to %s; no --admin was given, so no Envoy was asked whether it arrived\n", s.runtimeDir+s.rtdsFile)
		return nil
	}
	return s.report(cmd, o.Key, s.each(func(c *admin.Client) maintenance.State {
		if s.layer == nil {
			if err := c.ModifyRuntime(ctx, o.Change().Pairs()...); err != nil {
				return maintenance.State{Envoy: c.Name, Problem: err.Error()}
			}
		}
		return maintenance.Wait(ctx, c, o, before[c])
	}))
}

// plan says what order would do.
func (s *switching) plan(w io.Writer, o maintenance.Order) {
	if where := s.runtimeDir + s.rtdsFile; s.layer != nil {
		for _, p := range o.Change() {
			if p.Value == "" {
				fmt.Fprintf(w, "take %s out of %s\n", p.Key, where)
			} else {
				fmt.Fprintf(w, "write %s=%s to %s\n", p.Key, p.Value, where)
			}
		}
	}
	for _, c := range s.clients {
		if s.layer == nil {
			fmt.Fprintf(w, "POST %s to %s\n", admin.ModifyPath(o.Change().Pairs()...), c.Name)
		}
		fmt.Fprintf(w, "wait up to %s until %s says so\n", s.wait, c.Name)
	}
}

// each asks all Envoys at once, and returns what they say in their order.
func (s *switching) each(ask func(*admin.Client) maintenance.State) []maintenance.State {
	states := make([]maintenance.State, len(s.clients))
	var wg sync.WaitGroup
	for i, c := range s.clients {
		wg.Go(func() { states[i] = ask(c) })
	}
	wg.Wait()
	return states
}

func (s *switching) report(cmd *cobra.Command, key string, states []maintenance.State) error {
	if errors.Is(cmd.Context().Err(), context.Canceled) {
		return failure{errors.New("interrupted: what was written stays, see: healthgate maintenance status")}
	}
	rows := [][]cell{plain("ENVOY", key, "UNTIL", "REASON", "LAYER", "ENDPOINTS IN MAINTENANCE")}
	failed := 0
	for _, st := range states {
		word, until := cell{"off", green}, "-"
		if st.On {
			word = cell{"on", yellow}
		}
		if !st.Until.IsZero() {
			until = moment(&st.Until, time.Now())
		}
		if st.Problem != "" {
			failed++
			if st.Value == "" && !st.On && st.Layer == "" {
				word = cell{"?", red}
			}
		}
		rows = append(rows, []cell{{text: st.Envoy}, word, {text: until}, {text: orDash(st.Reason)}, {text: orDash(st.Layer)},
			{text: orDash(strings.Join(st.Endpoints, ", "))}})
	}
	if err := writeTable(cmd.OutOrStdout(), "", rows); err != nil {
		return failure{err}
	}
	for _, st := range states {
		if st.Problem != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s: %s\n", paint(cmd.ErrOrStderr(), red, "error:"), printable(st.Envoy), printable(st.Problem))
		}
	}
	if failed > 0 {
		return failure{errSilent}
	}
	return nil
}

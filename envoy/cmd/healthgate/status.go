package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/envoy/operator/render"
	"github.com/healthgate/healthgate/envoy/operator/status"
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var envoys admins
	var urls []string
	var watch, asJSON bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what each Envoy answers to health checks, and why",
		Long: `Shows for each Envoy what health checks get, maintenance with its key, reason and end, whether it drains, every probe
with its state, since when, last status and latency, and the age of the plugin's shared record.

Each --admin address is asked for Envoy's configuration, runtime and gauges. When the configuration has an endpoint of
kind status, that is asked, too: only the plugin knows since when, the last status and the latency. --status-url asks such
an endpoint alone, where admin can't be reached.

The exit code is 1 when an Envoy could not be asked, whatever the others say.`,
		Example: `  healthgate status --admin 127.0.0.1:9901
  healthgate status --admin unix:///run/envoy/admin.sock --watch
  healthgate status --status-url http://10.0.0.7:10000/healthgate/status --json`,
		Args: takes(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(envoys.addresses)+len(urls) == 0 {
				return errors.New("say which Envoy: --admin ADDRESS or --status-url URL")
			}
			if interval <= 0 {
				return &render.OptionError{Flag: "interval", What: interval.String() + " is not a time to wait"}
			}
			var ask []func(context.Context) status.Report
			clients, err := envoys.clients()
			if err != nil {
				return err
			}
			for _, client := range clients {
				ask = append(ask, func(ctx context.Context) status.Report { return status.FromAdmin(ctx, client, time.Now()) })
			}
			for _, url := range urls {
				if err := status.CheckURL(url); err != nil {
					return fmt.Errorf("--status-url: %w", err)
				}
				ask = append(ask, func(ctx context.Context) status.Report { return status.FromURL(ctx, url) })
			}
			if !watch {
				return show(cmd, ask, asJSON, false)
			}
			for {
				// Who watches waits for an Envoy that is not there.
				err := show(cmd, ask, asJSON, true)
				if errors.Is(err, context.Canceled) {
					return nil
				}
				if err != nil && !errors.Is(err, errSilent) {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(interval):
				}
			}
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	envoys.flags(f)
	f.StringArrayVar(&urls, "status-url", nil, "a status endpoint's `URL`, asked from here; may be repeated")
	f.BoolVar(&watch, "watch", false, "show it again and again, until Ctrl-C")
	f.DurationVar(&interval, "interval", 2*time.Second, "how often, with --watch")
	f.BoolVar(&asJSON, "json", false, "write JSON: an array with an object for each Envoy; with --watch one line each time")
	return cmd
}

// show asks all Envoys at once and writes what they say.
func show(cmd *cobra.Command, ask []func(context.Context) status.Report, asJSON, again bool) error {
	reports := make([]status.Report, len(ask))
	var wg sync.WaitGroup
	for i := range ask {
		wg.Go(func() { reports[i] = ask[i](cmd.Context()) })
	}
	wg.Wait()
	if err := cmd.Context().Err(); err != nil { // Ctrl-C cut the answers off
		return failure{err}
	}
	out := cmd.OutOrStdout()
	var err error
	switch {
	case asJSON:
		encoder := json.NewEncoder(out)
		if !again {
			encoder.SetIndent("", "  ")
		}
		err = encoder.Encode(reports)
	default:
		if again && isTerminal(out) {
			_, _ = io.WriteString(out, "\x1b[H\x1b[2J\x1b[3J")
		}
		for i := range reports {
			if err == nil {
				err = writeReport(out, &reports[i], time.Now())
			}
		}
	}
	if err != nil {
		return failure{err}
	}
	for i := range reports {
		if reports[i].Error != "" {
			return failure{errSilent}
		}
	}
	return nil
}

// writeReport writes what a person wants to see of one Envoy.
func writeReport(w io.Writer, r *status.Report, now time.Time) error {
	head := []string{paint(w, bold, printable(r.Envoy))}
	if r.Error != "" {
		_, err := fmt.Fprintf(w, "%s  %s\n\n", head[0], paint(w, red, printable(r.Error)))
		return err
	}
	add := func(text string) {
		if text != "" {
			head = append(head, printable(text))
		}
	}
	add(r.Node)
	if r.Zone != "" {
		add("zone " + r.Zone)
	}
	add(r.State)
	switch {
	case r.Draining == nil:
		add("draining not known")
	case *r.Draining:
		head = append(head, paint(w, yellow, "draining"))
	default:
		add("not draining")
	}
	if r.SnapshotAgeMS != nil {
		add("record " + (time.Duration(*r.SnapshotAgeMS) * time.Millisecond).String() + " old")
	}
	if _, err := fmt.Fprintln(w, strings.Join(head, "  ")); err != nil {
		return err
	}
	if err := writeTable(w, "  ", endpointRows(r, now)); err != nil {
		return err
	}
	if err := writeTable(w, "  ", probeRows(r, now)); err != nil {
		return err
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable(note))
	}
	_, err := fmt.Fprintln(w)
	return err
}

func endpointRows(r *status.Report, now time.Time) [][]cell {
	if len(r.Endpoints) == 0 {
		return nil
	}
	rows := [][]cell{plain("ENDPOINT", "CHECKS GET", "WHY")}
	for _, e := range r.Endpoints {
		gets := cell{text: orDash(e.Verdict), colour: verdictColour(e.Verdict)}
		if e.HTTPStatus != 0 {
			gets.text = strconv.Itoa(e.HTTPStatus) + " " + gets.text
		}
		why := e.Output
		if m := e.Maintenance; m != nil {
			why = m.Key + " = " + m.Value
			if m.Until != nil {
				why = m.Key + " until " + moment(m.Until, now)
			}
			if m.Reason != "" {
				why += ": " + m.Reason
			}
		}
		rows = append(rows, []cell{{text: e.Name}, gets, {text: orDash(why)}})
	}
	return rows
}

func verdictColour(verdict string) string {
	switch verdict {
	case "":
		return ""
	case "healthy", "passed":
		return green
	case "maintenance", "draining":
		return yellow
	}
	return red
}

func probeRows(r *status.Report, now time.Time) [][]cell {
	if len(r.Probes) == 0 {
		return nil
	}
	rows := [][]cell{plain("PROBE", "STATE", "SINCE", "LAST STATUS", "LATENCY", "LAST ASKED")}
	for _, p := range r.Probes {
		state, last, latency := cell{text: "not known"}, "-", "-"
		if p.Healthy != nil {
			if state = (cell{"unhealthy", red}); *p.Healthy {
				state = cell{"healthy", green}
			}
		}
		if p.Status != 0 {
			last = strconv.Itoa(p.Status)
		} else if p.Outcome != "" {
			last = p.Outcome
		}
		if p.LatencyMS != nil {
			latency = strconv.FormatInt(*p.LatencyMS, 10) + "ms"
		}
		rows = append(rows, []cell{{text: p.Name}, state, {text: moment(p.Since, now)}, {text: last}, {text: latency}, {text: moment(p.LastAsked, now)}})
	}
	return rows
}

// moment writes a time, and how far it is from now.
func moment(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	text := t.UTC().Format(time.RFC3339)
	if d := t.Sub(now).Round(time.Second); d > 0 {
		return text + " (in " + d.String() + ")"
	} else if d < 0 {
		return text + " (" + (-d).String() + " ago)"
	}
	return text + " (now)"
}

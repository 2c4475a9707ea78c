package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// expectWait is longer than the interval of most load balancers, of which several ask.
const expectWait = 15 * time.Second

func newStatus() *cobra.Command {
	var envoys asking
	var urls []string
	var expects []string
	var output string
	var watching, asJSON bool
	var interval, wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what each Envoy answers to health checks, and why",
		Long: `Shows for each Envoy what health checks get, maintenance with its key, reason and end, whether it drains,
every probe with its state, since when, answer and latency, and the age of the plugin's shared record.

Each --admin address is asked for Envoy's configuration, runtime and gauges. Each endpoint of kind status in that
configuration is asked, too: only the plugin knows since when, the answer and the latency. What another Envoy
answered in its place does not count. Without an answer the verdicts are derived from configuration, runtime and
gauges. --status-url asks such an endpoint alone, where admin can't be reached.

A verdict is what the plugin would answer. Whether checks get it, only checks show: --wait is how long one is waited for
of each endpoint, as this Envoy counts them, and "no check seen" says that none came which got the verdict.

The exit code is 0 whatever checks get, and 1 when an Envoy could not be asked. --expect VERDICT makes it 1 as well
unless every health check of every Envoy is so, for sure, and a check was seen that got it; --expect ENDPOINT=VERDICT
asks for one.`,
		Example: `  healthgate status --admin 127.0.0.1:9901
  healthgate status --admin unix:///run/envoy/admin.sock --watch
  healthgate status --status-url http://10.0.0.7:10000/healthgate/status -o json
  healthgate status --expect my-service=maintenance`,
		Args: takes(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(urls) == 0 {
				envoys.orDefault()
			}
			if interval <= 0 {
				return &render.OptionError{Flag: "interval", What: interval.String() + " is not a time to wait"}
			}
			if cmd.Flags().Changed("interval") && !watching {
				return &render.OptionError{Flag: "interval", What: "is for --watch"}
			}
			switch {
			case wait < 0:
				return &render.OptionError{Flag: "wait", What: wait.String() + " is not a time to wait"}
			case cmd.Flags().Changed("wait") && watching:
				return errors.New("--wait: --watch looks all the time; leave one of them out")
			case watching:
				wait = 0
			case len(expects) > 0 && !cmd.Flags().Changed("wait"):
				wait = expectWait
			}
			if asJSON {
				if cmd.Flags().Changed("output") && output != "json" {
					return errors.New("--json, --output: each says what is written; give one of them")
				}
				output = "json"
			}
			if output != "table" && output != "json" {
				return fmt.Errorf("--output: %q is neither table nor json", output)
			}
			if len(urls) > 0 && len(expects) > 0 {
				return errors.New("--expect: wants to see a check, and a status endpoint does not tell of any: " +
					"give --admin in the place of --status-url, or send a check: healthgate check")
			}
			if watching && len(expects) > 0 {
				return errors.New("--expect: makes an exit code, and --watch has no end; leave one of them out")
			}
			var expected []report.Expectation
			for _, text := range expects {
				x, err := report.ParseExpectation(text)
				if err != nil {
					return fmt.Errorf("--expect: %w", err)
				}
				expected = append(expected, x)
			}
			var names []string
			envoys.urls = urls
			clients, err := envoys.clients(cmd)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("wait") && len(clients) == 0 {
				return &render.OptionError{Flag: "wait", What: "is for --admin: a status endpoint counts no checks"}
			}
			for _, client := range clients {
				names = append(names, client.Name)
				if watching {
					defer client.Close()
				}
				seen := &report.Seen{Wait: wait, For: expected}
				envoys.seen = append(envoys.seen, seen)
				envoys.ask = append(envoys.ask, func(ctx context.Context) report.Report {
					if !watching {
						defer client.Close()
					}
					return report.FromAdmin(ctx, client, time.Now(), seen)
				})
			}
			if _, err := envoys.open(); err != nil {
				return err
			}
			for i, url := range urls {
				if err := statusURL(url); err != nil {
					return err
				}
				if slices.Contains(urls[:i], url) {
					return fmt.Errorf("--status-url: %s is given twice: is one of them to be another Envoy?", url)
				}
				names = append(names, url)
				envoys.ask = append(envoys.ask,
					func(ctx context.Context) report.Report { return report.FromURL(ctx, url, envoys.secrets.TLS()) })
			}
			if watching {
				return watch(cmd, &envoys, clients, output, interval)
			}
			return once(cmd, names, &envoys, output, expected)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	envoys.flags(f)
	f.StringArrayVar(&urls, "status-url", nil,
		"a status endpoint's `URL`, asked from here; may be repeated "+
			"(https: any certificate, unless --admin-ca-file is given)")
	f.StringArrayVar(&expects, "expect", nil, "`VERDICT` that all health checks have to have, or ENDPOINT=VERDICT: "+
		strings.Join(report.Verdicts, ", ")+"; may be repeated")
	f.DurationVar(&wait, "wait", 2*time.Second, "how long a check of each endpoint is waited for; with --expect "+
		expectWait.String())
	f.BoolVar(&watching, "watch", false, "show it again and again, until Ctrl-C")
	f.DurationVar(&interval, "interval", 2*time.Second, "how often, with --watch")
	f.StringVarP(&output, "output", "o", "table",
		"`FORM` of what is written: table or json, an array with an object for each Envoy; with --watch one line each time")
	f.BoolVar(&asJSON, "json", false, "the same as -o json")
	return cmd
}

// statusURL refuses what can't be the URL of a status endpoint.
func statusURL(url string) error {
	if err := report.CheckURL(url); err != nil {
		return fmt.Errorf("--status-url: %w", err)
	}
	if strings.ContainsAny(url, "?#") {
		return errors.New("--status-url: a status endpoint is asked without a query, which this command would print")
	}
	return nil
}

// asking is whom status asks.
type asking struct {
	admins
	ask  []func(context.Context) report.Report
	seen []*report.Seen
}

// all asks all Envoys.
func (a *asking) all(ctx context.Context) []report.Report {
	reports := make([]report.Report, len(a.ask))
	notes := a.latest(ctx, len(reports), func(i int) bool {
		reports[i] = a.ask[i](ctx)
		return i < len(a.seen) && a.seen[i].Waited
	})
	met, ids := report.Met{}, map[string]string{} // the first address of each
	for i := range reports {
		r := &reports[i]
		if r.Error == "" && notes[i] != "" {
			r.Notes = append(r.Notes, notes[i])
		}
		first, is := ids[r.Node]
		if again := met.Again(r.Process, r.Envoy); again != "" {
			r.Notes = append(r.Notes, again)
		} else if is && r.Node != "" && r.Process == "" {
			r.Notes = append(r.Notes, fmt.Sprintf("its id, %q, is also that of %s: if that is the same Envoy, "+
				"it is counted twice", r.Node, first))
		}
		if !is {
			ids[r.Node] = r.Envoy
		}
	}
	return reports
}

// once shows what all Envoys say, and judges it.
func once(cmd *cobra.Command, names []string, envoys *asking, output string, expected []report.Expectation) error {
	reports := envoys.all(cmd.Context())
	interrupted := cmd.Context().Err() != nil // Ctrl-C cut the answers off
	if interrupted && output != "json" {
		return failure{errInterrupted}
	}
	if interrupted {
		for i, name := range names {
			reports[i] = report.Interrupted(name)
		}
	}
	out := cmd.OutOrStdout()
	if output == "json" {
		_ = writeJSON(out, reports, "  ")
	} else {
		shown := slices.Clone(reports)
		writeCounts(out, shown)
		for i := range shown {
			writeReport(out, &shown[i], time.Now())
		}
	}
	if interrupted {
		return failure{errInterrupted}
	}
	failed := false
	for i := range reports {
		r := &reports[i]
		failed = failed || r.Error != ""
		for _, x := range expected {
			for _, lack := range x.Lacks(r) {
				failed = true
				fmt.Fprintf(cmd.ErrOrStderr(), "not as expected: %s: %s\n", printable(r.Envoy), printable(lack))
			}
		}
	}
	if failed {
		return failure{errSilent}
	}
	return nil
}

// watch shows what all Envoys say until Ctrl-C. Who watches waits for an Envoy that is not there, and fails where none
// ever said anything.
func watch(cmd *cobra.Command, envoys *asking, clients []*admin.Client, output string, interval time.Duration) error {
	out := cmd.OutOrStdout()
	var screen sync.Mutex
	if output != "json" && isTerminal(out) {
		fmt.Fprint(out, enterScreen)
		defer func() { _, _ = io.WriteString(out, leaveScreen) }()
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGQUIT)
		defer stop()
		cmd.SetContext(ctx)
		defer suspendable(&screen, out, sleep)()
	}
	for known := false; ; {
		access, unread := envoys.open() // a login may be another one by now
		for _, client := range clients {
			if unread == nil {
				client.Use(access)
			}
		}
		reports := envoys.all(cmd.Context())
		for i := range reports {
			if unread != nil {
				reports[i].Notes = append(reports[i].Notes, unread.Error()+": what it held before is used")
			}
		}
		if cmd.Context().Err() != nil && !known {
			return failure{errInterrupted}
		} else if cmd.Context().Err() != nil {
			return nil
		}
		known = known || slices.ContainsFunc(reports, func(r report.Report) bool { return r.Error == "" })
		var err error
		screen.Lock()
		if output == "json" {
			err = writeJSON(out, reports, "")
		} else {
			err = watchReports(out, reports, interval, time.Now())
		}
		screen.Unlock()
		if err != nil {
			return failure{errSilent} // Main tells why
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(interval):
		}
	}
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/agent"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

func newAgent() *cobra.Command {
	envoys := admins{parallel: 1}
	var url, endpoint, tcp, agentCheck string
	var interval, maxAge time.Duration
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Tell load balancers that don't ask by HTTP: by a TCP port, or HAProxy's agent check",
		Long: `Asks a status endpoint again and again, and tells load balancers on ports of this machine how one health check
is.

--tcp is open while the health check is healthy, for balancers that only connect. A connection is closed as soon as it
is accepted, so that none is left when the port closes.

--agent-check answers each connection with a line, as HAProxy's agent-check reads it:
  up ready          healthy, degraded, or passed: the application itself is not asked
  maint             in maintenance
  drain             Envoy drains
  ready down #WHY   the probes fail, or the state is not known

Where nothing is known, the port is closed and the line is down: when the status endpoint can't be asked, or has not
answered for --max-age, and for a health check with route_metadata: a status endpoint does not know that route.

Each change is a line of output, that of the reason alone once in ten seconds. Ctrl-C ends it, and closes the ports. The
exit code is 0 then, and 1 when --agent-check can't be served.`,
		Example: `  healthgate agent --status-url http://127.0.0.1:10000/healthgate/status --endpoint my-service \
      --tcp 0.0.0.0:9000
  healthgate agent --status-url http://127.0.0.1:10000/healthgate/status --endpoint my-service \
      --agent-check :9001`,
		Args: takes(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGPIPE) // who no longer reads closes no port
			if url == "" {
				return errors.New("--status-url: say which status endpoint to ask")
			}
			if err := statusURL(url); err != nil {
				return err
			}
			if tcp == "" && agentCheck == "" {
				return errors.New("--tcp, --agent-check: say where to tell it; give one of them, or both")
			}
			var err error
			if tcp, err = onLoopback("tcp", tcp); err != nil {
				return err
			}
			if agentCheck, err = onLoopback("agent-check", agentCheck); err != nil {
				return err
			}
			if tcp == agentCheck {
				return fmt.Errorf("--tcp, --agent-check: both are %s; give each an address of its own", tcp)
			}
			if interval < 100*time.Millisecond {
				return &render.OptionError{Flag: "interval", What: interval.String() + " is less than 100ms"}
			}
			if maxAge <= interval {
				return &render.OptionError{Flag: "max-age", What: maxAge.String() + " is not more than the --interval"}
			}
			envoys.urls = []string{url}
			if _, err := envoys.clients(cmd); err != nil {
				return err
			}
			access, err := envoys.open()
			if err != nil {
				return err
			}
			ask := func(ctx context.Context) *report.Report {
				r := report.FromURL(ctx, url, access.TLS())
				return &r
			}
			return follow(cmd, ask, endpoint, tcp, agentCheck, interval, maxAge)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&url, "status-url", "", "the status endpoint's `URL` (https: any certificate, "+
		"unless --admin-ca-file is given)")
	f.StringVar(&endpoint, "endpoint", "", "`NAME` of the health check, where there are several")
	f.StringVar(&tcp, "tcp", "", "`ADDRESS` that is open while it is healthy, HOST:PORT; :PORT is on loopback")
	f.StringVar(&agentCheck, "agent-check", "", "`ADDRESS` that answers HAProxy's agent check, HOST:PORT; "+
		":PORT is on loopback")
	f.DurationVar(&interval, "interval", time.Second, "how often the status endpoint is asked")
	f.DurationVar(&maxAge, "max-age", 3*time.Second, "how long an answer holds when no other follows")
	envoys.certificates(f)
	return cmd
}

// onLoopback reads HOST:PORT; without a HOST it is this machine's alone.
func onLoopback(flag, address string) (string, error) {
	if address == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(address)
	if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || n == 0 {
		return "", &render.OptionError{Flag: flag, What: fmt.Sprintf("%q is not HOST:PORT", address)}
	}
	return net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port), nil
}

// follow asks and tells until the context ends.
func follow(cmd *cobra.Command, ask func(context.Context) *report.Report, endpoint, tcp, agentCheck string,
	interval, maxAge time.Duration) error {
	lines, written := make(chan string, 16), make(chan struct{})
	go func() { // a terminal or a log that takes no more holds up no port
		defer close(written)
		for line := range lines {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
	}()
	defer func() {
		close(lines)
		<-written
	}()
	var known agent.Known
	if agentCheck != "" {
		listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", agentCheck)
		if err != nil {
			return failure{fmt.Errorf("--agent-check: %w", err)}
		}
		defer listener.Close()
		go agent.Accept(listener, func(conn net.Conn) { agent.Tell(conn, known.At(time.Now()).Line()) })
	}
	gate := agent.Gate{Address: tcp}
	defer func() { _ = gate.Set(false) }()
	said, because, next := "", "", time.Time{}
	tell := func(s agent.State) { // each change of the word is told at once
		what, why, same, now := s.Word, s.Why, cmp.Or(s.Key, s.Why), time.Now()
		if err := gate.Set(tcp != "" && s.Word == agent.Up); err != nil {
			what, why = "up, but the port is closed", "--tcp: "+err.Error()
			same = why
		}
		switch {
		case what != said:
			next = now
		case same == because || now.Before(next):
			return
		default:
			next = now.Add(10 * time.Second)
		}
		line := now.UTC().Format(time.RFC3339) + " " + what
		if why != "" {
			line += ": " + printable(why)
		}
		select {
		case lines <- line:
			said, because = what, same
		default: // the state of then is told later
		}
	}
	every(cmd.Context(), interval, func() {
		begin := time.Now()
		tell(known.At(begin)) // which may have become too old, where this process could not run
		// An answer still holds when the next question is due, and this question ends before what is known becomes too old.
		end := begin.Add(maxAge - interval)
		if until := known.Until(); begin.Before(until) && until.Before(end) {
			end = until
		}
		ctx, cancel := context.WithDeadline(cmd.Context(), end)
		defer cancel()
		r := ask(ctx)
		if cmd.Context().Err() == nil {
			known.Put(agent.Of(r, endpoint, time.Now()), begin.Add(maxAge))
			tell(known.At(time.Now()))
		}
	})
	return nil
}

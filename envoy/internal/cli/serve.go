package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/board"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// turn is how long an Envoy that is asked can keep another one waiting.
const turn = 100 * time.Millisecond

func newServe() *cobra.Command {
	var envoys admins
	var listen string
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve one page and one /metrics for a whole fleet",
		Long: `Asks each Envoy again and again, as status does, and serves what is known: a page for people, those Envoys
first that need a look, and /metrics for Prometheus. An Envoy that does not answer is shown as such, never as it was.

There is no login, and the page shows addresses, runtime keys and the reasons that operators gave: whoever can reach
--listen can read them. It changes nothing. Ctrl-C ends it.

Who the Envoys are, and the secrets of their admins, is read again at each interval: --admins-file, what kubectl says to
--selector, and the files of --admin-auth-file and the certificates. Where one can't be read, the Envoys of before are
asked as before; the page, /metrics and standard error say so.`,
		Example: `  healthgate serve --admin 127.0.0.1:9901
  healthgate serve --admins-file shop.txt --listen 127.0.0.1:8090`,
		Args: takes(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < time.Second {
				return &render.OptionError{Flag: "interval", What: interval.String() + " is less than a second"}
			}
			_, port, err := net.SplitHostPort(listen)
			if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
				return &render.OptionError{Flag: "listen", What: fmt.Sprintf("%q is not HOST:PORT", listen)}
			}
			signal.Ignore(syscall.SIGPIPE) // who no longer reads ends nothing
			envoys.orDefault()
			clients, err := envoys.clients(cmd)
			if err != nil {
				return err
			}
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return failure{fmt.Errorf("--listen: %w", err)}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s/ and http://%[1]s/metrics, all Envoys asked every %s (%d); Ctrl-C ends\n",
				listener.Addr(), interval, len(clients))
			logger := log.New(cmd.ErrOrStderr(), "", 0)
			s := serving{admins: &envoys, board: board.New(interval), interval: interval, log: logger,
				turns: make(chan struct{}, envoys.parallel), asked: map[string]polled{}}
			s.take(cmd.Context(), clients)
			s.asking.Go(func() { s.follow(cmd.Context(), cmd.InOrStdin()) })
			handler := s.board.Handler(time.Now)
			if a, tcp := listener.Addr().(*net.TCPAddr); tcp && a.IP.IsLoopback() {
				handler = byAddress(handler)
			}
			if err := serveUntil(cmd.Context(), listener, handler, logger); err != nil {
				return failure{err}
			}
			s.asking.Wait()
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	envoys.flags(f)
	f.StringVar(&listen, "listen", "127.0.0.1:8090", "`ADDRESS` to serve on, HOST:PORT")
	f.DurationVar(&interval, "interval", 10*time.Second, "how often each Envoy is asked")
	return cmd
}

// serving asks Envoys, each at its own pace: one that is slow holds up none of the others.
type serving struct {
	*admins
	board    *board.Board
	interval time.Duration
	turns    chan struct{}
	asking   sync.WaitGroup
	asked    map[string]polled
	log      *log.Logger
}

// polled is an Envoy that is asked until its end.
type polled struct {
	client *admin.Client
	end    func()
}

// take has these Envoys asked, and no other. It says how many came and went.
func (s *serving) take(ctx context.Context, clients []*admin.Client) (came, went int) {
	var names []string
	for _, client := range clients {
		names = append(names, client.Name)
	}
	s.board.List(names)
	before := s.asked
	s.asked = map[string]polled{}
	for _, client := range clients {
		old, was := before[client.Name]
		delete(before, client.Name)
		switch {
		case !was:
			came++
		case old.client.Same(client):
			s.asked[client.Name] = old
			continue
		default:
			old.end()
		}
		ctx, end := context.WithCancel(ctx)
		s.asked[client.Name] = polled{client, end}
		s.asking.Go(func() {
			defer client.Close()
			var seen report.Seen
			every(ctx, s.interval, func() { s.ask(ctx, client, &seen) })
		})
	}
	for _, old := range before {
		old.end()
	}
	return came, len(before)
}

func (s *serving) ask(ctx context.Context, client *admin.Client, seen *report.Seen) {
	s.turns <- struct{}{}
	slow := time.AfterFunc(turn, func() { <-s.turns })
	begin := time.Now()
	if r := report.FromAdmin(ctx, client, begin, seen); ctx.Err() == nil {
		s.board.Put(r, begin)
	}
	if slow.Stop() {
		<-s.turns
	}
}

// follow reads again and again who the Envoys are.
func (s *serving) follow(ctx context.Context, stdin io.Reader) {
	said := ""
	every(ctx, s.interval, func() {
		reading, cancel := context.WithTimeout(ctx, max(s.interval, askTimeout))
		defer cancel()
		clients, err := s.list(reading, stdin)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if s.board.Stale(err.Error()); said != err.Error() {
				said = err.Error()
				s.log.Printf("%s; the Envoys of before are asked", said)
			}
			return
		}
		if came, went := s.take(ctx, clients); came+went > 0 || said != "" {
			s.log.Printf("%d Envoys: %d new, %d gone", len(clients), came, went)
		}
		said = ""
	})
}

// byAddress refuses requests for a name, which is that of a site whose page reads this one in the operator's browser.
func byAddress(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "on loopback, ask by an address or as localhost", http.StatusMisdirectedRequest)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// every does something again and again until the context ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// serveUntil serves until the context ends. A request that is being answered is answered.
func serveUntil(ctx context.Context, l net.Listener, handler http.Handler, log *log.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		ended <- server.Shutdown(last)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended // who still reads after a second is cut off
	return nil
}

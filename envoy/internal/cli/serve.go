package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

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
--listen can read them. It changes nothing. Ctrl-C ends it.`,
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
			envoys.orDefault()
			clients, err := envoys.clients(cmd)
			if err != nil {
				return err
			}
			var names []string
			for i, client := range clients {
				names = append(names, client.Name)
				defer envoys.release(i, len(clients))
			}
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return failure{fmt.Errorf("--listen: %w", err)}
			}
			b := board.New(names, interval)
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s/ and http://%[1]s/metrics, all Envoys asked every %s (%d); Ctrl-C ends\n",
				listener.Addr(), interval, len(names))
			var asking sync.WaitGroup
			turns := make(chan struct{}, envoys.parallel)
			for i, client := range clients { // each at its own pace: one that is slow holds up none of the others
				asking.Go(func() {
					every(cmd.Context(), interval, func() {
						turns <- struct{}{}
						slow := time.AfterFunc(turn, func() { <-turns })
						begin := time.Now()
						b.Put(i, report.FromAdmin(cmd.Context(), client, begin), begin)
						if slow.Stop() {
							<-turns
						}
					})
				})
			}
			handler := b.Handler(time.Now)
			if a, tcp := listener.Addr().(*net.TCPAddr); tcp && a.IP.IsLoopback() {
				handler = byAddress(handler)
			}
			if err := serveUntil(cmd.Context(), listener, handler, log.New(cmd.ErrOrStderr(), "", 0)); err != nil {
				return failure{err}
			}
			asking.Wait()
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

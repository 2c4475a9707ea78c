package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/balancer"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/verdict"
	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	envoys := admins{parallel: 1}
	var address, as, from, host, success, output string
	var settings balancer.Settings
	cmd := &cobra.Command{
		Use:   "check URL --as BALANCER",
		Short: "Send the health check of a load balancer, and say how it judges the answer",
		Long: `Sends one health check to URL, byte for byte as the load balancer does. Says how it judges the answer, and how
long it takes until it takes an instance out that answers so, or back. Interval, timeout, thresholds and statuses are
the load balancer's defaults; the flags are for what you set there. docs/load-balancers.md has the sources of all that.
Over https, too, a check is sent with HTTP/1.1.

With --admin it says also who answered: the gate, with its endpoint and outcome, or somebody else, with the condition
that the check does not meet: an endpoint's path, method, host, a header, or the address that it trusts.

BALANCER is one of
  ` + strings.Join(balancer.Names(), ", ") + `

The exit code is 0 when the load balancer takes the instance for healthy, and 1 when it does not.`,
		Example: `  healthgate check http://10.0.3.17:8080/healthz --as alb
  healthgate check http://127.0.0.1:10000/healthz --as haproxy --host lb.example --from 127.0.0.2 \
      --admin 127.0.0.1:9901
  healthgate check http://10.0.3.17:8080/healthz --as envoy --interval 5s --unhealthy 3 --healthy 2 -o json`,
		Args: cobra.MatchAll(someOf("URL to check, such as http://127.0.0.1:10000/healthz"), takes("URL")),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, to, source, err := asked(cmd.Context(), args[0], as, from, host)
			if err != nil {
				return err
			}
			if output != "table" && output != "json" {
				return fmt.Errorf("--output: %q is neither table nor json", output)
			}
			if success != "" {
				if settings.Success, err = balancer.ParseStatuses(success); err != nil {
					return &render.OptionError{Flag: "success", What: err.Error()}
				}
			}
			for _, set := range []struct {
				name, most string
				share      float64 // of the most
			}{
				{"interval", "24h", settings.Interval.Hours() / 24},
				{"timeout", "24h", settings.Timeout.Hours() / 24},
				{"unhealthy", "1000", float64(settings.Unhealthy) / 1000},
				{"healthy", "1000", float64(settings.Healthy) / 1000},
			} {
				value := cmd.Flag(set.name).Value.String()
				if cmd.Flag(set.name).Changed && set.share <= 0 {
					return &render.OptionError{Flag: set.name, What: value + " is nothing; give more, or leave it out"}
				}
				if set.share > 1 {
					return &render.OptionError{Flag: set.name, What: value + " is more than " + set.most}
				}
			}
			b.Set(settings)
			if address != "" {
				envoys.addresses = []string{address}
			}
			clients, err := envoys.clients(cmd)
			if err != nil {
				return err
			}
			var envoy *balancer.Envoy
			if len(clients) == 1 {
				envoy = ask(cmd, clients[0], to)
			}
			sent := b.Send(cmd.Context(), to, source, host)
			if envoy != nil && envoy.Counts {
				if envoy.After, err = counts(cmd, clients[0]); err != nil {
					envoy.Unknown = err.Error()
				}
			}
			result := balancer.Judge(&b, to.String(), sent, envoy)
			if output == "json" {
				_ = writeJSON(cmd.OutOrStdout(), result, "  ")
			} else {
				writeCheck(cmd.OutOrStdout(), &b, result)
			}
			if !result.Healthy {
				return failure{errSilent}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&as, "as", "", "`BALANCER` whose check is sent")
	f.StringVar(&from, "from", "", "`ADDRESS` of this machine that the check comes from (default: the system's choice)")
	f.StringVar(&host, "host", "", "`HOST` of the check (default: the load balancer's)")
	f.StringVar(&success, "success", "", "`STATUSES` that count as healthy, as 200,204 or 200-399")
	f.DurationVar(&settings.Interval, "interval", 0, "time between two checks")
	f.DurationVar(&settings.Timeout, "timeout", 0, "how long an answer may take")
	f.IntVar(&settings.Unhealthy, "unhealthy", 0, "failed checks in a row that take an instance out")
	f.IntVar(&settings.Healthy, "healthy", 0, "good checks in a row that bring it back")
	f.StringVar(&address, "admin", "", "the admin `ADDRESS` of the Envoy behind URL, to say who answered; as other "+
		"commands take it")
	envoys.access(f)
	f.StringVarP(&output, "output", "o", "table", "`FORM` of what is written: table or json")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(balancer.Names(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// asked reads what the command is to do.
func asked(ctx context.Context, to, as, from, host string) (
	b balancer.Balancer, u *url.URL, source netip.Addr, err error,
) {
	if err = report.CheckURL(to); err != nil {
		return b, u, source, err
	}
	if u, err = url.Parse(to); err != nil {
		return b, u, source, err
	}
	known := strings.Join(balancer.Names(), ", ")
	if as == "" {
		return b, u, source, errors.New("--as: say whose check to send: " + known)
	}
	var found bool
	if b, found = balancer.Find(as); !found {
		return b, u, source, fmt.Errorf("--as: no load balancer %q is known%s known are %s", as,
			meant(as, balancer.Names(), ""), known)
	}
	if from != "" {
		if source, err = netip.ParseAddr(from); err != nil {
			return b, u, source, fmt.Errorf("--from: %q is no IP address", from)
		}
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: source.AsSlice(), Zone: source.Zone()})
		if err != nil {
			return b, u, source, fmt.Errorf("--from: %s is no address of this machine", from)
		}
		_ = listener.Close()
		kind := "ip6"
		if source.Unmap().Is4() {
			kind = "ip4"
		}
		var none *net.AddrError
		var unknown *net.DNSError
		if _, err = net.DefaultResolver.LookupNetIP(ctx, kind, u.Hostname()); errors.As(err, &none) ||
			errors.As(err, &unknown) && unknown.IsNotFound {
			return b, u, source, fmt.Errorf("--from: %s has no address of the kind of %s", u.Hostname(), from)
		}
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' }) {
		return b, u, source, fmt.Errorf("--host: %q is no host", host)
	}
	if host != "" && b.Host == "" {
		return b, u, source, fmt.Errorf("--host: the check of %s has none", as)
	}
	return b, u, source, nil
}

// counts returns what the plugin has counted of checks, by endpoint and verdict.
func counts(cmd *cobra.Command, client *admin.Client) (map[string]uint64, error) {
	stats, err := client.Stats(cmd.Context(), "^"+regexp.QuoteMeta(report.Checks))
	out := map[string]uint64{}
	for name, n := range stats {
		out[strings.TrimPrefix(name, report.Checks)] = n
	}
	return out, err
}

// moment is how long it is watched whether others check, too.
const moment = 200 * time.Millisecond

// ask asks an Envoy, before the check is sent, for what explains its answer.
func ask(cmd *cobra.Command, client *admin.Client, to *url.URL) *balancer.Envoy {
	out := &balancer.Envoy{}
	server, err := client.Server(cmd.Context())
	var dump any
	if err == nil {
		dump, err = client.ConfigDump(cmd.Context())
	}
	if err != nil {
		out.Unknown = err.Error()
		return out
	}
	known := reach.Read(dump, server.Node, nil)
	known.Own = append(known.Own, client.Machine()...)
	if len(known.Plugins) == 0 {
		out.Unknown = known.Absent()
		return out
	}
	for _, p := range at(known.Plugins, to) {
		out.Endpoints = append(out.Endpoints, p.Config.Endpoints...)
	}
	out.Gaps = map[string][]string{}
	for _, gap := range known.Gaps() {
		out.Gaps[gap.Endpoint] = append(out.Gaps[gap.Endpoint], gap.What)
	}
	if out.Idle, err = counts(cmd, client); err == nil {
		time.Sleep(moment)
		out.Before, err = counts(cmd, client)
	}
	out.Counts = err == nil && len(out.Before) > 0
	return out
}

// at returns the plugins of the listener at the port of a URL; all, where there is none: a port may be translated.
func at(plugins []*reach.Plugin, to *url.URL) (out []*reach.Plugin) {
	for _, p := range plugins {
		if p.At(to) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return plugins
	}
	return out
}

// writeCheck writes what a person wants to see of a check.
func writeCheck(w io.Writer, b *balancer.Balancer, r *balancer.Result) {
	judged := cell{"unhealthy: " + r.Why, red}
	if r.Healthy {
		judged = cell{"healthy: " + r.Why, green}
	}
	rows := [][]cell{{{text: "as"}, {text: b.Title, colour: bold}}}
	add := func(name, text string) {
		rows = append(rows, plain(name, text))
	}
	name := "sent"
	for line := range strings.FieldsFuncSeq(r.Request, func(c rune) bool { return c == '\r' || c == '\n' }) {
		add(name, line)
		name = ""
	}
	if r.From != "" {
		add("from", r.From)
	}
	if r.Status != 0 {
		add("answered", fmt.Sprintf("%d after %s", r.Status, time.Duration(r.TookMS)*time.Millisecond))
	}
	rows = append(rows, []cell{{text: "judged"}, judged})
	by := map[balancer.Party]string{
		balancer.Gate:        fmt.Sprintf("the gate: endpoint %q, %s", r.Endpoint, r.Outcome),
		balancer.Application: "the application",
		balancer.Other:       "somebody else than the gate",
	}[r.AnsweredBy]
	if r.Outcome == verdict.Passed.String() {
		by += fmt.Sprintf(": endpoint %q is healthy, and passes the check on", r.Endpoint)
	}
	if by != "" {
		add("answered by", by)
	}
	for _, m := range r.Misses {
		for _, why := range m.Why {
			add("not for "+m.Endpoint, why)
		}
	}
	add("leaves after", r.Leaves.Text("failed"))
	add("returns after", r.Returns.Text("good"))
	for _, note := range r.Notes {
		add("note", note)
	}
	name = "known of it"
	for _, fact := range r.Facts {
		add(name, fact)
		name = ""
	}
	writeTable(w, "", rows)
}

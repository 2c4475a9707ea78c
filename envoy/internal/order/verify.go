package order

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// The plugin counts as many checks as are sent here: proof of them, and more where it counts others' checks, too, as
// it does while it is watched for a moment, or for as long as checks took on a slow way. Fewer would be said to be from
// here while somebody else answers. Where a plugin that has crashed stays so, each worker's is to be met: a connection
// of its own for each check goes to any.
const (
	proof     = 3
	most      = 60
	perWorker = 8
	moment    = 200 * time.Millisecond
)

// verify sends checks, and says what their answers lack of an order: for on they are the endpoint's maintenance
// reply, for off its healthy one, each time given by this Envoy's plugin. It returns what was met; that is empty where
// the configuration is not known.
func (e *Envoy) verify(ctx context.Context, o Order, to string) (met string, lack problem) {
	endpoint, want := &config.Endpoint{}, []verdict.Kind{verdict.Healthy, verdict.Degraded, verdict.Passed}
	if o.On {
		want = []verdict.Kind{verdict.Maintenance}
	}
	if all := e.checked(to); len(all) > 0 {
		endpoint, met = all[0].plugin.HealthCheck(all[0].name), e.met(all[0].plugin, all[0].name)
		if len(all) > 1 && all[1].name == all[0].name {
			return "", problem{what: fmt.Sprintf("the check %s may meet the endpoint %q in several listeners (%s; %s): "+
				"give a URL with the port of one", report.Shown(to), all[0].name, all[0].plugin.Listeners(),
				all[1].plugin.Listeners()), final: true}
		}
	}
	var unseen error
	read := func() (r reading) {
		if unseen == nil {
			r.counts, unseen = e.counts(ctx, endpoint.Name)
		}
		r.at = time.Now()
		return r
	}
	first := read()
	lack, answered := e.check(ctx, endpoint, want[0], to, func() bool { return first.rise(read()) > 0 || unseen != nil })
	idle := read()
	switch {
	case lack.what == "":
	case answered && unseen != nil:
		lack.what += "; whether this Envoy's plugin answers it is not known: " + unseen.Error()
	case answered && first.rise(idle, verdict.Untrusted) > 0:
		lack.what += "; this Envoy's plugin has counted a check from an address that its endpoint does not trust"
	case answered && first.rise(idle) == 0:
		lack.what += "; this Envoy's plugin has not counted it"
	}
	if lack.what != "" {
		return "", lack
	}
	time.Sleep(moment)
	before := read()
	n := min(proof+2*idle.rise(before, want...), most)
	if !o.On && e.unreloaded(nil) != "" {
		n = max(n, perWorker*e.server.Workers)
	}
	for range n {
		if lack, _ := e.check(ctx, endpoint, want[0], to, func() bool { return false }); lack.what != "" {
			return "", lack
		}
	}
	after := read()
	span := after.at.Sub(before.at)
	rose, others := before.rise(after, want...), float64(idle.rise(before, want...))
	others *= float64(span) / float64(before.at.Sub(idle.at))
	if span > moment { // others' checks may be too rare for a moment, and are not for so long
		select {
		case <-ctx.Done():
		case <-time.After(span):
		}
		others = max(others, float64(after.rise(read(), want...)))
	}
	switch what := "the check " + report.Shown(to); {
	case unseen != nil:
		return "", problem{what: what + ": whether this Envoy's plugin answers it is not known: " + unseen.Error()}
	case rose >= n && float64(rose)-others >= float64(n)/2:
		return met, problem{}
	case before.rise(after, verdict.Untrusted) >= n:
		return "", problem{what: what + ": its endpoint does not trust the address of this machine"}
	default:
		return "", problem{what: what + " gets what is wanted, but not from this Envoy's plugin, which has not counted it: " +
			"does the address lead to another Envoy, or a service behind this one?"}
	}
}

// reading is what the plugin has counted at a time, by outcome.
type reading struct {
	at     time.Time
	counts [verdict.Kinds]uint64
}

// rise returns how many checks of these outcomes, of any where none is given, were counted until a later reading.
func (r reading) rise(later reading, outcomes ...verdict.Kind) (n uint64) {
	for k, count := range later.counts {
		if len(outcomes) == 0 || slices.Contains(outcomes, verdict.Kind(k)) {
			n += count - min(r.counts[k], count) // they may have been reset
		}
	}
	return n
}

// check sends a check, and says what its answer lacks of the endpoint's reply to an outcome. It reports
// whether there was one. Of a plugin that may have counted it, it does not say that it has crashed.
func (e *Envoy) check(ctx context.Context, endpoint *config.Endpoint, want verdict.Kind, to string,
	counted func() bool) (lack problem, answered bool) {
	request, err := reach.Request(ctx, endpoint, to)
	if err != nil {
		return problem{what: err.Error(), final: true}, false
	}
	what := "the check " + request.Method + " " + report.Shown(to)
	response, body, err := report.Send(report.Anyone, request)
	if err != nil {
		return problem{what: what + ": " + err.Error()}, false
	}
	wrong := e.wrong(endpoint, want, response, body)
	got := strings.TrimSpace(response.Status + " " + firstLine(body))
	switch {
	case wrong == "":
		return problem{}, true
	case e.unreloaded(nil) != "" && report.ByEnvoy(response, body) && !counted():
		return problem{what: what + " gets " + response.Status + ", as from a worker whose plugin has crashed: " +
			e.unreloaded(nil), final: true}, true
	case endpoint.GRPC:
		got = reach.Answer(response, body)
	}
	return problem{what: what + " gets " + got + wrong}, true
}

// counts returns how many checks of an endpoint, or of any, the plugin has counted, by outcome.
func (e *Envoy) counts(ctx context.Context, endpoint string) (out [verdict.Kinds]uint64, err error) {
	stats, err := e.client.Stats(ctx, "^"+regexp.QuoteMeta(report.Checks))
	if err != nil {
		return out, err
	}
	found := false
	for name, n := range stats {
		for k := range verdict.Shown {
			if of, is := strings.CutSuffix(name, ".verdict."+k.String()); is &&
				(endpoint == "" || of == report.Checks+endpoint) {
				out[k] += n
				found = true
			}
		}
	}
	if !found && e.known != nil {
		return out, errors.New(e.known.NoMetrics())
	} else if !found {
		return out, errors.New("it shows no metric of healthgate")
	}
	return out, nil
}

// wrong says what an answer lacks of the endpoint's reply to an outcome; "" when it is that, or where the application
// answers, a success.
func (e *Envoy) wrong(endpoint *config.Endpoint, outcome verdict.Kind, response *http.Response, body []byte) string {
	reply := verdict.Reply(endpoint, outcome)
	if outcome == verdict.Healthy && len(endpoint.Degraded.Probes) > 0 && endpoint.Degraded.Reply.Status < 400 &&
		e.wrong(endpoint, verdict.Degraded, response, body) == "" {
		return ""
	}
	who := report.Who(response, body)
	if who != "" {
		who = ": " + who
	}
	success := response.StatusCode >= 200 && response.StatusCode < 300
	switch {
	case e.known == nil && outcome == verdict.Maintenance:
		if response.StatusCode != http.StatusServiceUnavailable {
			return ", not 503" + who
		}
		return ""
	case e.known == nil, reply.Pass:
		if !success {
			return ", not a success" + who
		}
		return ""
	case endpoint.GRPC:
		if reach.Answer(response, body) == reply.Body {
			return ""
		}
		return fmt.Sprintf(", and %s it is %s%s", when(outcome), reply.Body, who)
	case response.StatusCode != int(reply.Status), response.Request.Method != http.MethodHead &&
		string(body) != reply.Body:
		for kind := verdict.Maintenance; kind < verdict.Passed; kind++ {
			other := verdict.Reply(endpoint, kind)
			switch same := response.StatusCode == int(other.Status) &&
				(response.Request.Method == http.MethodHead || string(body) == other.Body); {
			case same && len(body) > 0:
				return ": the plugin's reply where the state is " + kind.String()
			case same:
				who = "" // it may be the plugin's
			}
		}
		return ", and " + when(outcome) + " it is " +
			strings.TrimSpace(fmt.Sprintf("%d %s", reply.Status, firstLine([]byte(reply.Body)))) + who
	}
	for _, h := range reply.Headers {
		if name := h[0]; name != "server" && name != "date" && !slices.Contains(response.Header.Values(name), h[1]) {
			return fmt.Sprintf(" without the header %s: %s of its reply", name, h[1])
		}
	}
	return ""
}

func when(outcome verdict.Kind) string {
	if outcome == verdict.Maintenance {
		return "in maintenance"
	}
	return "when all is well"
}

// misfit says why a check would tell nothing of the key; "" when it does, or that is not known.
func (e *Envoy) misfit(to string) string {
	all := e.checked(to)
	switch {
	case e.known == nil:
	case len(all) == 0:
		return fmt.Sprintf("--verify: no health check has the path of %s", report.Shown(to))
	case !e.reads(all[0].name):
		return fmt.Sprintf("--verify: the endpoint %q has the path of %s, and %s does not switch it",
			all[0].name, report.Shown(to), e.key)
	}
	return ""
}

// checked returns the health checks that a URL may be for: those with its path, and of several those that stand at its
// port, have its host, or are switched by the key, where there are such. None is known without a configuration.
func (e *Envoy) checked(to string) (out []reader) {
	u, err := url.Parse(to)
	if err != nil {
		return nil
	}
	e.each(func(p *reach.Plugin, endpoint *config.Endpoint) {
		if slices.Contains(endpoint.Paths, u.EscapedPath()) {
			out = append(out, reader{p, endpoint.Name})
		}
	})
	for _, is := range []func(reader) bool{
		func(r reader) bool { return r.plugin.At(u) },
		func(r reader) bool {
			return slices.Contains(r.plugin.HealthCheck(r.name).Hosts, strings.ToLower(u.Hostname()))
		},
		func(r reader) bool { return e.reads(r.name) },
	} {
		if slices.ContainsFunc(out, is) {
			out = slices.DeleteFunc(out, func(r reader) bool { return !is(r) })
		}
	}
	return out
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(string(body), "\n")
	if len(line) > 80 {
		line = line[:80] + "…"
	}
	return line
}

package chaos

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/hostsim"
)

// run plays one plan, and is all that is known of it.
type run struct {
	*hostsim.Host
	plan *plan
	judge
	adminAnswer   string            // what its admin endpoint answers; "ok" is Envoy's own answer
	calloutFaults map[string]string // of each cluster
	logged        int
	log           string
	trace         hash.Hash64
	marks         map[string]int
	checks        int
}

// settle is the time that passes before the first operation.
const settle = 300 * time.Millisecond

// play plays a plan to its end, or to the first violation.
func play(wasm []byte, p *plan) *run {
	r := &run{plan: p, trace: fnv.New64a(), marks: map[string]int{}, adminAnswer: "ok", calloutFaults: map[string]string{}}
	r.judge = newJudge(r)
	host, err := hostsim.New(wasm,
		hostsim.PluginConfig(p.Configs["A"].json()), hostsim.PluginName("healthgate"), hostsim.VMID("healthgate"),
		hostsim.Workers(p.Workers), hostsim.Seed(p.Seed), hostsim.Shuffled(), hostsim.FailReload,
		hostsim.Upstream("app", http.HandlerFunc(r.serveApp)),
		hostsim.Upstream("envoy_admin", http.HandlerFunc(r.serveAdmin)),
	)
	must(err)
	defer host.Close()
	r.Host = host
	r.configured("A")
	for i := range p.Ops {
		if o := &p.Ops[i]; o.name == "check" {
			r.schedule(o)
		}
	}
	r.Advance(settle)
	for _, o := range p.Ops {
		r.advanceTo(o.at)
		if r.violation != nil {
			return r
		}
		if o.name != "check" {
			r.note("%v", o)
			r.apply(o)
		}
	}
	r.advanceTo(r.Elapsed() + 100*time.Millisecond)
	if r.violation == nil {
		r.end()
	}
	for _, m := range r.Metrics() {
		r.note("%s %d", m.Name, m.Value)
	}
	for _, d := range r.SharedData() {
		r.note("%q %q", d.Key, d.Value)
	}
	return r
}

// note adds to what two runs of a plan must have in common.
func (r *run) note(format string, args ...any) {
	fmt.Fprintf(r.trace, format+"\n", args...)
}

func (r *run) mark(what string) { r.marks[what]++ }

func (r *run) advanceTo(at time.Duration) {
	r.Advance(max(at-r.Elapsed(), 0))
	lines := r.LogsFrom(r.logged)
	r.logged += len(lines)
	for _, l := range lines {
		r.note("%v", l)
		r.heard(l)
		if *show != "" {
			r.log += l.String() + "\n"
		}
	}
}

const (
	balancer = "10.1.2.3:40000"
	stranger = "192.0.2.99:40000"
)

// schedule lets a check come at its time, whatever the process does then.
func (r *run) schedule(o *op) {
	req := &hostsim.Request{Path: "/" + o.arg(1), Peer: balancer}
	if o.arg(2) == "stranger" {
		req.Peer = stranger
	}
	if r.plan.ofGRPC(o.arg(1)) {
		req.Method, req.Path, req.Header = "POST", config.GRPCCheck, hostsim.Header{{"content-type", "application/grpc"}}
	}
	if o.arg(3) != "" {
		req.Before = o.number(3)
	}
	r.waiting[o] = true
	r.Worker(o.number(0)).StartIn(o.at, req, func(reply *hostsim.Reply) {
		r.checks++
		reply = told(reply)
		r.note("%v %v: %d %s %v", r.Elapsed(), o, reply.Status, reply.Details, reply.Forwarded)
		r.answered(o, req.Before, reply)
	})
}

// told is a reply as one of HTTP: to a check of gRPC the plugin says it in a header, by which Envoy's routes give it.
func told(r *hostsim.Reply) *hostsim.Reply {
	if r.Upstream == nil || !r.Upstream.Header.Has(config.GRPCAnswer) {
		return r
	}
	out := *r
	out.Forwarded, out.Status, out.Details = false, http.StatusOK, "healthgate_healthy"
	if r.Upstream.Header.Get(config.GRPCAnswer) != config.Serving {
		out.Status, out.Details = http.StatusServiceUnavailable, notServing
	}
	return &out
}

// notServing is how an answer of gRPC is told that is no SERVING, whatever the reason.
const notServing = "healthgate_not_serving"

// serveApp answers a probe with the status of the application.
func (r *run) serveApp(w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/")
	grpc := q.Header.Get("Content-Type") == "application/grpc"
	if grpc {
		request, err := io.ReadAll(q.Body)
		must(err)
		name = string(request[7:]) // the service, behind the frame and its own length
	}
	status := r.statusOf(name)
	r.note("%v probe %s: %d", r.Elapsed(), name, status)
	r.probed(name, status == http.StatusOK)
	if !grpc {
		w.WriteHeader(status)
		return
	}
	state := byte(2) // NOT_SERVING
	if status == http.StatusOK {
		state = 1
	}
	w.Header().Set("Trailer", "GRPC-Status")
	_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, state})
	w.Header().Set("GRPC-Status", "0")
}

// answers are what stands in the admin endpoint's place.
var answers = map[string]struct {
	status int
	body   string
}{
	"login": {200, "<html>please log in</html>"}, "closed": {403, "denied"}, "empty": {200, ""},
	"truncated": {200, `{"layers":["admin"],"entries":{"out":{"final_va`}, "foreign": {200, `{"entries":[]}`},
}

func (r *run) serveAdmin(w http.ResponseWriter, q *http.Request) {
	r.note("%v admin %s: %s", r.Elapsed(), q.URL.Path, r.adminAnswer)
	if a, other := answers[r.adminAnswer]; other {
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
		return
	}
	if q.URL.Path == "/stats" {
		name := strings.NewReplacer("^(|", "", ")$", "").Replace(q.FormValue("filter"))
		status := r.statusOf(name)
		r.note("%v probe %s: %d", r.Elapsed(), name, status)
		r.probed(name, status == http.StatusOK)
		_, _ = fmt.Fprintf(w, "%s: %d\n", name, status-http.StatusOK) // which is too high, or 0
		return
	}
	r.polled(q.URL.Path)
	r.Admin().ServeHTTP(w, q)
}

// thread finds a thread by the name that it has in plans and in the log.
func (r *run) thread(name string) *hostsim.Worker {
	if name == "main" {
		return r.Main()
	}
	return r.Worker(op{args: []string{strings.TrimPrefix(name, "worker ")}}.number(0))
}

var calloutFaults = map[string]hostsim.CalloutFaultKind{
	"late": hostsim.CalloutLate, "inline": hostsim.CalloutInlineFailure, "refused": hostsim.CalloutConnectFailure,
	"reset": hostsim.CalloutReset, "timeout": hostsim.CalloutTimeout, "never": hostsim.CalloutNever,
	"lost": hostsim.CalloutLost,
}

// clusters are those that callouts go to.
var clusters = []string{"app", "envoy_admin"}

// apply does what an operation says.
func (r *run) apply(o op) {
	now := r.Elapsed()
	r.happens(o)
	switch o.name {
	case "app":
		r.app(o.arg(0)).set(now, o.arg(1))
	case "runtime":
		value := strings.ReplaceAll(o.arg(1), "_", " ")
		r.Admin().SetRuntime(o.arg(0), value)
		r.key(o.arg(0)).set(now, value)
	case "draining":
		r.Admin().SetDraining(o.arg(0) == "on")
		r.draining.set(now, o.arg(0))
	case "crash":
		r.thread(o.arg(0)).Crash()
	case "depose": // a crash that no check may feel
		r.Main().Crash()
	case "trap":
		r.Inject(hostsim.TrapAt(o.arg(1), 1).On(r.thread(o.arg(0)).Name()))
	case "refuse":
		r.Inject(hostsim.FailAllocation(o.number(1)).On(r.thread(o.arg(0)).Name()))
	case "lose", "race":
		fault := map[string]func(string, int) hostsim.Fault{"lose": hostsim.LoseCAS, "race": hostsim.Race}[o.name]
		for _, d := range r.SharedData() {
			if strings.Contains(d.Key, "/"+o.arg(0)) {
				r.Inject(fault(d.Key, 1))
			}
		}
	case "stall":
		r.thread(o.arg(0)).Stall(o.duration(1))
	case "sleep":
		r.JumpMonotonic(o.duration(0))
	case "back":
		r.JumpMonotonic(-r.goesBack)
	case "wall":
		r.JumpRealtime(o.duration(0))
	case "callouts":
		r.calloutFaults[o.arg(0)] = o.arg(1)
		kind, faulty := calloutFaults[o.arg(1)]
		if !faulty {
			r.FaultAllCallouts(o.arg(0), nil)
		} else {
			r.FaultAllCallouts(o.arg(0), &hostsim.CalloutFault{Kind: kind, Delay: o.duration(2)})
		}
	case "admin":
		r.adminAnswer = o.arg(0)
	case "update":
		r.Heal() // what breaks while a thread is configured leaves the plugin out of its chain: that is Envoy's doing
		if r.Update(r.plan.Configs[o.arg(0)].json()) == nil {
			r.configured(o.arg(0))
		}
	case "refuse-update":
		r.Inject(hostsim.TrapAt("proxy_on_configure", 1).On("canary"))
		if r.Update(r.plan.Configs["A"].json()+" ") == nil {
			panic("an update was not refused")
		}
	case "drained":
		r.Drained()
		r.drainedNow()
	case "calm":
		r.Heal()
		r.adminAnswer = "ok"
		for _, name := range clusters {
			r.FaultAllCallouts(name, nil)
		}
		clear(r.calloutFaults)
	case "end": // the time of the last check
	default:
		panic("there is no operation " + o.name)
	}
}

package balancer

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Result is what is said of a check. Its JSON is what pipelines read: names are added, none is renamed.
type Result struct {
	Balancer string `json:"balancer"`
	URL      string `json:"url"`
	From     string `json:"from,omitempty"`    // the address that the check came from
	Request  string `json:"request,omitempty"` // as it was on the wire
	Status   int    `json:"status,omitempty"`  // of the answer
	TookMS   int64  `json:"took_ms"`
	Healthy  bool   `json:"healthy"` // so the balancer judges
	Why      string `json:"why"`
	// AnsweredBy is who answered; empty where that is not known.
	AnsweredBy Party  `json:"answered_by,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"` // that took the check
	Outcome    string `json:"outcome,omitempty"`  // as the metrics name it
	Misses     []Miss `json:"misses,omitempty"`   // why the gate did not take it
	Leaves     Turn   `json:"leaves"`             // out of rotation
	Returns    Turn   `json:"returns"`
	// Notes are what else to know of the check, and Facts of the balancer.
	Notes []string `json:"notes,omitempty"`
	Facts []string `json:"facts,omitempty"`
}

// Party is who can answer a check.
type Party string

// Those who answer.
const (
	Gate        Party = "gate"
	Application Party = "application"
	Other       Party = "other" // the application, or Envoy without it: only the gate is out of the question
)

// Envoy is what is known of the Envoy that was asked.
type Envoy struct {
	Endpoints []config.Endpoint
	// Before and After are what the plugin had counted, before the check and after it: "ENDPOINT.verdict.healthy": 3.
	// Idle is what it was a moment before that, while no check was sent.
	Idle, Before, After map[string]uint64
	Counts              bool                // whether it shows what it counts
	Gaps                map[string][]string // by endpoint, the ways past the plugin
	Unknown             string              // why the configuration is not known
}

// Judge says all that is known of a check; envoy is nil where none was asked.
func Judge(b *Balancer, url string, s Sent, envoy *Envoy) *Result {
	r := &Result{Balancer: b.Name, URL: url, Request: s.Wire, Status: s.Status, TookMS: s.Took.Milliseconds(),
		Leaves: b.Leaves(s.Status == 0), Returns: b.Returns(), Facts: slices.Clone(b.Notes)}
	if s.From.IsValid() {
		r.From = s.From.Addr().String()
	}
	r.Healthy, r.Why = b.Judge(s.Answer)
	r.Facts = append(r.Facts, "its checks come from "+b.From)
	if b.Keeps {
		r.Facts = append(r.Facts, "it keeps the connection for its next check")
	}
	if b.Follows {
		r.Facts = append(r.Facts, "it follows a redirect to the same host")
	}
	if b.Believed != "" {
		r.Facts = append(r.Facts, "believed, not documented: "+b.Believed)
	}
	behind := Other
	if s.Upstream {
		behind, r.AnsweredBy = Application, Application
	}
	request, err := Read(s.Wire)
	switch {
	case s.Status == 0 || err != nil:
	case s.Status == http.StatusUpgradeRequired && strings.Contains(s.Wire, " HTTP/1.0\r\n"):
		r.Notes = append(r.Notes, "Envoy refuses HTTP/1.0: set accept_http_10 and default_host_for_http_10")
	case s.Followed != "":
		r.Notes = append(r.Notes, "the answer is that of "+s.Followed+", to which it was redirected; who answered there, "+
			"a check of that URL says")
	case envoy == nil:
		r.Notes = append(r.Notes, "whether the gate answered is known with --admin")
	case envoy.Unknown != "":
		r.Notes = append(r.Notes, "whether the gate answered is not known: "+envoy.Unknown)
	default:
		r.explain(request, s, envoy, behind)
	}
	return r
}

// explain says who answered, and why it was not the gate; behind is who answers what the gate lets pass.
func (r *Result) explain(request Request, s Sent, envoy *Envoy, behind Party) {
	taker, misses := Misses(envoy.Endpoints, request)
	r.Misses = misses
	if taker == nil {
		r.AnsweredBy = behind
		return
	}
	r.Endpoint = taker.Name
	counted, fits := envoy.counted(taker, &s)
	trusts, known := Trusts(taker, s.From)
	lack := func(format string, args ...any) {
		r.Misses = append(r.Misses, Miss{taker.Name, []string{fmt.Sprintf(format, args...)}})
	}
	untrusted := slices.Contains(counted, verdict.Untrusted)
	if untrusted && known && !trusts {
		counted = []verdict.Kind{verdict.Untrusted} // the others are those of other checks
	}
	switch {
	case len(counted) > 1, len(counted) == 1 && (!fits || envoy.busy(taker) || !untrusted && known && !trusts):
		note := "the gate counted " + listed(counted) + " meanwhile; whether that was this check is not known: others may " +
			"check, too"
		if known && !trusts {
			note += ", or something translates " + r.From
		}
		r.Notes = append(r.Notes, note)
	case untrusted:
		r.Outcome = verdict.Untrusted.String()
		r.AnsweredBy = Gate
		if taker.Untrusted.Pass {
			r.AnsweredBy = behind
		}
		if lack("the source %s is not trusted", r.From); known && trusts {
			r.Notes = append(r.Notes, "Envoy saw another source than "+r.From+": something between translates addresses")
		}
	case len(counted) == 1:
		if r.AnsweredBy, r.Outcome, r.Misses = Gate, counted[0].String(), nil; counted[0] == verdict.Passed {
			r.AnsweredBy = behind
		}
	case known && !trusts:
		lack("the source %s is not trusted", r.From)
	case envoy.Counts:
		lack("this Envoy's plugin did not count the check: it went another way, or to another Envoy")
		r.Notes = append(r.Notes, envoy.Gaps[taker.Name]...)
	default:
		r.Notes = append(r.Notes, "whether the gate answered is not known: this Envoy shows no metric of it")
	}
}

// counted returns what the plugin counted of an endpoint while the check ran, and can be the check's: others check,
// too, and Envoy's header tells that the gate did not reply. fits is whether the status is one that the gate gives.
func (e *Envoy) counted(endpoint *config.Endpoint, s *Sent) (out []verdict.Kind, fits bool) {
	var unlike []verdict.Kind
	for k := range verdict.Kind(verdict.Kinds) {
		name, reply := endpoint.Name+".verdict."+k.String(), verdict.Reply(endpoint, k)
		switch {
		case e.After[name] == e.Before[name], s.Upstream && (k == verdict.Shown || !reply.Pass):
		case k == verdict.Shown, reply.Pass, gives(endpoint, reply, s):
			out = append(out, k)
		default:
			unlike = append(unlike, k)
		}
	}
	if out == nil {
		return unlike, false
	}
	return out, true
}

// busy reports whether an endpoint's checks were counted while none was sent.
func (e *Envoy) busy(endpoint *config.Endpoint) bool {
	for k := range verdict.Kind(verdict.Kinds) {
		if name := endpoint.Name + ".verdict." + k.String(); e.Idle[name] != e.Before[name] {
			return true
		}
	}
	return false
}

// gives reports whether an answer is an endpoint's reply. That to gRPC, and to HEAD, has no such body.
func gives(endpoint *config.Endpoint, reply *config.Reply, s *Sent) bool {
	status := int(reply.Status) == s.Status || reply.ProbeStatus && s.Status >= http.StatusBadRequest
	bare := endpoint.GRPC || strings.HasPrefix(s.Wire, http.MethodHead+" ")
	return status && (bare || s.Body == reply.Body[:min(len(reply.Body), read)])
}

func listed(kinds []verdict.Kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.String())
	}
	return strings.Join(names, " and ")
}

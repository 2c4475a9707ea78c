package report

import (
	"fmt"
	"slices"
	"strings"
)

// Verdicts are those that can be expected. failing is met by unhealthy and unknown.
var Verdicts = []string{"healthy", "maintenance", "draining", "failing", "unhealthy", "unknown", "degraded", "passed"}

// Expectation is what checks should get.
type Expectation struct{ endpoint, verdict string }

// ParseExpectation reads VERDICT, for all endpoints, or ENDPOINT=VERDICT.
func ParseExpectation(s string) (Expectation, error) {
	x := Expectation{verdict: s}
	if endpoint, verdict, is := strings.Cut(s, "="); is {
		if x = (Expectation{endpoint, verdict}); endpoint == "" {
			return x, fmt.Errorf("%q names no endpoint; write VERDICT alone for all of them", s)
		}
	}
	if !slices.Contains(Verdicts, x.verdict) {
		return x, fmt.Errorf("%q is none of %s, or ENDPOINT= and one of them", s, strings.Join(Verdicts, ", "))
	}
	return x, nil
}

func (x Expectation) of(e *Endpoint) bool { return x.endpoint == "" || x.endpoint == e.Name }

// Lacks says why an Envoy is not as expected; empty when it is, for sure.
func (x Expectation) Lacks(r *Report) (out []string) {
	if r.Error != "" {
		return nil // which is told
	}
	found := false
	for _, e := range r.Endpoints {
		if !x.of(&e) {
			continue
		}
		found = true
		name := Named(e.Name, e.Listener)
		switch {
		case e.Verdict == "":
			out = append(out, fmt.Sprintf("%s is not known to be %s: %s", name, x.verdict, e.Output))
		case e.Verdict == "passed" && x.verdict == "healthy":
			out = append(out, fmt.Sprintf("%s is passed, not healthy: the application's own endpoint answers, "+
				"and this command does not ask it", name))
		case !x.met(e.Verdict):
			out = append(out, fmt.Sprintf("%s is %s, not %s", name, e.Verdict, x.verdict))
		case len(e.Unsure) > 0:
			out = append(out, fmt.Sprintf("%s is %s%s: %s", name, e.Verdict, e.Mark(), e.Unsure[0]))
		case e.unseen():
			out = append(out, fmt.Sprintf("%s is %s by all that is known, and no check was seen to get that: give a load "+
				"balancer time to ask, by --wait, or send a check: healthgate check", name, e.Verdict))
		}
	}
	if x.endpoint == "" && len(r.unreadable) > 0 {
		out = append(out, "other health checks are not known: "+r.unreadable[0])
	}
	switch {
	case found:
	case x.endpoint != "":
		out = append(out, fmt.Sprintf("there is no health check %q", x.endpoint))
	default:
		out = append(out, "no health check is known")
	}
	return out
}

func (x Expectation) met(verdict string) bool {
	if x.verdict == "failing" {
		return verdict == "unhealthy" || verdict == "unknown" || verdict == "failing"
	}
	return verdict == x.verdict
}

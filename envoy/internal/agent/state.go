// Package agent tells load balancers that don't ask by HTTP how a health check is: by a TCP port that is open while it
// is healthy, and by the lines of HAProxy's agent check.
package agent

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
)

// State is what HAProxy is told of a health check, in its words, and why.
type State struct {
	Word, Why string
	Key       string // of maintenance, with its value and reason: Why has the time that is left, too
}

// The words of HAProxy's agent check that are used.
const (
	Up    = "up"
	Maint = "maint"
	Drain = "drain"
	Down  = "down"
)

// Of returns the state of a health check; "" is the only one. Whatever is not known for sure is down.
func Of(r *report.Report, endpoint string, now time.Time) State {
	if r.Error != "" {
		return State{Word: Down, Why: r.Error}
	}
	var found *report.Endpoint
	var names []string
	for i := range r.Endpoints {
		names = append(names, r.Endpoints[i].Name)
		if endpoint == "" && len(r.Endpoints) == 1 || endpoint == r.Endpoints[i].Name {
			found = &r.Endpoints[i]
		}
	}
	switch {
	case found == nil && len(names) == 0:
		return State{Word: Down, Why: "there is no health check"}
	case found == nil && endpoint == "":
		return State{Word: Down, Why: "there are several health checks, choose with --endpoint: " + strings.Join(names, ", ")}
	case found == nil:
		return State{Word: Down, Why: fmt.Sprintf("there is no health check %q, there is: %s", endpoint,
			strings.Join(names, ", "))}
	}
	switch found.Verdict {
	case "maintenance":
		state := State{Word: Maint, Why: found.Why(now)}
		if m := found.Maintenance; m != nil {
			state.Key = m.Key + "=" + m.Value + ": " + m.Reason
		}
		return state
	case "draining":
		return State{Word: Drain, Why: found.Why(now)}
	case "healthy", "degraded", "passed":
		if len(found.Unsure) > 0 {
			return State{Word: Down, Why: "not known for sure: " + found.Unsure[0]}
		}
		return State{Word: Up}
	}
	return State{Word: Down, Why: cmp.Or(found.Verdict, "not known") + ": " + found.Why(now)}
}

// Line is what HAProxy's agent check reads. Only the word ready ends what maint and drain began. Behind the # stands
// what HAProxy shows; there are no control characters in it, which would end the line.
func (s State) Line() string {
	switch s.Word {
	case Up:
		return "up ready\n"
	case Down:
		why := strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return '?'
			}
			return c
		}, s.Why)
		return "ready down #" + why[:min(len(why), 200)] + "\n"
	}
	return s.Word + "\n"
}

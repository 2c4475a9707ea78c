// Package lifecycle decides when an instance that goes may take its next step, and when one that comes may open: by
// what Envoy counts, and a clock that is passed in.
package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Count is what the plugin has counted of a health check's answers.
type Count struct {
	Open   uint64 // after these a load balancer sends requests
	Closed uint64
}

// Checks waits until the checks of each endpoint have seen that the instance is closed, or open again.
type Checks struct {
	Open  bool          // it is waited for answers that are open
	Need  uint64        // of each endpoint, since an answer was the last of the other kind
	Quiet time.Duration // an endpoint to which no check comes for so long is not waited for; 0: each is

	seen map[string]*seen
}

type seen struct {
	last Count
	n    uint64 // answers in a row that are waited for
	at   time.Time
	any  bool
}

// Take takes the counts of endpoints, and says what is lacking; "" when nothing is.
func (c *Checks) Take(now time.Time, counts map[string]Count) string {
	if c.seen == nil {
		c.seen = map[string]*seen{}
	}
	var lacks []string
	for name, count := range counts {
		s := c.seen[name]
		if s == nil || count.Open < s.last.Open || count.Closed < s.last.Closed { // or another Envoy counts anew
			c.seen[name] = &seen{last: count, at: now}
			s = c.seen[name]
		}
		other, wanted, still := count.Open-s.last.Open, count.Closed-s.last.Closed, "success"
		if c.Open {
			other, wanted, still = wanted, other, "failure"
		}
		if other+wanted > 0 {
			s.at, s.any = now, true
		}
		if s.n += wanted; other > 0 {
			s.n = 0
		}
		s.last = count
		switch {
		case s.n >= c.Need || c.Quiet > 0 && now.Sub(s.at) >= c.Quiet:
		case s.any && s.n == 0:
			lacks = append(lacks, name+" answers checks with "+still+" still")
		case !s.any && c.Quiet > 0:
			lacks = append(lacks, fmt.Sprintf("%s has answered no check (after %s without one it counts as seen: --quiet)", name,
				c.Quiet))
		default:
			lacks = append(lacks, fmt.Sprintf("%s has answered %d of %d checks", name, s.n, c.Need))
		}
	}
	slices.Sort(lacks)
	return strings.Join(lacks, ", ")
}

// Asked reports whether a check of an endpoint came while it was waited for.
func (c *Checks) Asked(name string) bool { return c.seen[name] != nil && c.seen[name].any }

// Seen says how many checks each endpoint has answered.
func (c *Checks) Seen() string {
	var out []string
	for name, s := range c.seen {
		text := fmt.Sprintf("%s %d", name, s.n)
		if s.n < c.Need {
			text += fmt.Sprintf(", then none for %s", c.Quiet)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return map[bool]string{false: "failed checks: ", true: "checks with success: "}[c.Open] + strings.Join(out, "; ")
}

// Calm is how long no request has to run: the next one of a connection may be on its way.
const Calm = time.Second

// Idle waits until no request runs.
type Idle struct {
	since time.Time // zero: some ran when it was looked last
}

// Take takes how many requests run, and says what is lacking; "" when nothing is.
func (i *Idle) Take(now time.Time, running uint64) string {
	switch {
	case running > 0:
		i.since = time.Time{}
		return fmt.Sprintf("requests that run: %d", running)
	case i.since.IsZero():
		i.since = now
	}
	if now.Sub(i.since) < Calm {
		return "no request runs, for less than " + Calm.String()
	}
	return ""
}

// Holds says which probes an endpoint lacks that needs some of them to be up; "" when it has enough.
func Holds(endpoint string, up map[string]bool, probes []string, need int) string {
	var down []string
	for _, probe := range probes {
		if !up[probe] {
			down = append(down, probe)
		}
	}
	if len(probes)-len(down) >= need || len(probes) == 0 {
		return ""
	}
	return fmt.Sprintf("%s needs %d of its %d probes up, and these are not: %s", endpoint, need, len(probes),
		strings.Join(down, ", "))
}

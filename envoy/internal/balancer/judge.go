package balancer

import (
	"fmt"
	"strings"
	"time"
)

// Answer is what a check got: a status, or why there is none.
type Answer struct {
	Status  int
	Failure string
}

// Judge says whether the balancer takes the answer for a healthy one, and why.
func (b *Balancer) Judge(a Answer) (healthy bool, why string) {
	switch {
	case a.Failure != "":
		return false, a.Failure
	case b.Success.Has(a.Status):
		return true, fmt.Sprintf("%d counts as healthy", a.Status)
	}
	return false, fmt.Sprintf("%d, and only %s counts as healthy", a.Status, b.Success)
}

// Turn is how a balancer turns to another state: so many checks in a row must say so, which takes a time between two.
type Turn struct {
	Checks int     `json:"checks,omitempty"` // 0: not known
	Least  float64 `json:"min_seconds,omitempty"`
	Most   float64 `json:"max_seconds,omitempty"` // 0: not known

	interval time.Duration
}

// Leaves says how long it takes until an instance leaves whose checks fail; silent where they have no answer.
func (b *Balancer) Leaves(silent bool) Turn {
	if b.AtOnce && !silent {
		return b.turn(1)
	}
	return b.turn(b.Unhealthy)
}

// Returns says how long it takes until an instance returns whose checks succeed again.
func (b *Balancer) Returns() Turn { return b.turn(b.Healthy) }

// turn counts from a moment between two checks.
func (b *Balancer) turn(checks int) Turn {
	t := Turn{Checks: checks, interval: b.Interval}
	if checks > 0 {
		t.Least = (time.Duration(checks-1) * b.Interval).Seconds()
		t.Most = (time.Duration(checks) * b.Interval).Seconds()
	}
	return t
}

// Text says it of checks of a kind.
func (t Turn) Text(kind string) string {
	out := fmt.Sprintf("%d %s checks", t.Checks, kind)
	switch t.Checks {
	case 0:
		out = "its threshold of " + kind + " checks"
	case 1:
		out = "1 " + kind + " check"
	}
	from, to := short(time.Duration(t.Checks-1)*t.interval), short(time.Duration(t.Checks)*t.interval)
	switch {
	case t.interval == 0:
		return out + ", at its interval"
	case t.Checks == 0:
		return out + ", one every " + short(t.interval)
	case t.Checks == 1:
		return out + ", within " + to
	}
	return out + " in a row, " + from + " to " + to
}

// short writes a time without zeros at its end.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

package chaos

import (
	"slices"
	"strconv"
	"time"
)

// truth is what is the case: the application's statuses, runtime, draining.
type truth struct {
	apps, keys map[string]*fact
	draining   *fact
}

// fact is a value, and since when what it says is so.
type fact struct {
	value string
	since time.Duration
	says  func(value string) string // values that say the same are no change
}

func newTruth() truth {
	return truth{map[string]*fact{}, map[string]*fact{}, &fact{"off", 0, same}}
}

func same(value string) string { return value }

func (f *fact) set(at time.Duration, value string) {
	if f.says(f.value) != f.says(value) {
		f.since = at
	}
	f.value = value
}

// off are the values of a runtime key that plans use and that do not switch maintenance on.
var off = []string{"", "false", "0", "off", "2001-01-01T00:00:00Z", `{"numerator": 0}`}

// on reports whether a key switches maintenance on.
func (f *fact) on() bool { return !slices.Contains(off, f.value) }

func (t *truth) key(name string) *fact {
	if t.keys[name] == nil {
		t.keys[name] = &fact{"", 0, func(value string) string { return strconv.FormatBool(slices.Contains(off, value)) }}
	}
	return t.keys[name]
}

func (t *truth) app(name string) *fact {
	if t.apps[name] == nil {
		t.apps[name] = &fact{"200", 0, same}
	}
	return t.apps[name]
}

func (t *truth) statusOf(name string) int {
	n, err := strconv.Atoi(t.app(name).value)
	must(err)
	return n
}

// unhealthySince is since when so many of the endpoint's probes have failed that its policy does not hold; never, if it
// does.
func (t *truth) unhealthySince(e *endpoint) time.Duration {
	var since []time.Duration
	for _, name := range e.Probes {
		if t.statusOf(name) != 200 {
			since = append(since, t.app(name).since)
		}
	}
	few := len(e.Probes) - e.need() // as many may fail
	if len(since) <= few {
		return 1<<63 - 1
	}
	slices.Sort(since)
	return since[few]
}

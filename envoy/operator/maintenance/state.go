package maintenance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/operator/admin"
	filter "github.com/healthgate/healthgate/filter/maintenance"
)

// State is what one Envoy says of a key.
type State struct {
	Envoy     string    // the address that was asked
	On        bool      // by the key's value and the clock
	Value     string    // empty when no layer has the key
	Until     time.Time // zero: no end
	Reason    string
	Layer     string   // of the runtime layers, the one that decides
	Endpoints []string // those in maintenance, by this key or another, as the plugin says
	// Problem says why the Envoy is not as it was ordered to be, or could not be asked. Empty: all is well.
	Problem string

	endpoints int // how many report
}

// wallClock is the plugin's clock, at a given moment.
type wallClock time.Time

func (c wallClock) Wall() int64 { return time.Time(c).UnixNano() }

const gauge = "wasmcustom.healthgate_maintenance.endpoint."

// Read asks an Envoy for the state of a key.
func Read(ctx context.Context, envoy *admin.Client, key string, now time.Time) State {
	s := State{Envoy: envoy.Name}
	runtime, err := envoy.Runtime(ctx)
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	stats, err := envoy.Stats(ctx, `^wasmcustom\.healthgate_maintenance\.`)
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	s.Value, s.Reason, s.Layer = runtime.Entries[key].Value, runtime.Entries[key+".reason"].Value, runtime.Layer(key)
	parsed, _ := filter.ParseSwitch(s.Value)
	s.On = parsed.Active(wallClock(now))
	if parsed.Until != 0 {
		s.Until = time.Unix(0, parsed.Until)
	}
	for name, value := range stats {
		if endpoint, is := strings.CutPrefix(name, gauge); is {
			s.endpoints++
			if value > 0 {
				s.Endpoints = append(s.Endpoints, endpoint)
			}
		}
	}
	slices.Sort(s.Endpoints)
	return s
}

// settle is how long an endpoint that was in maintenance already has to stay so before it counts: its gauge may be of an
// earlier maintenance, until the plugin has read runtime again.
const settle = 2500 * time.Millisecond

// judge says what the Envoy lacks of the order, which was given when it was as before. arrived is how long runtime has
// been as ordered.
func (s *State) judge(o Order, before State, arrived time.Duration) {
	if s.Problem != "" {
		return
	}
	switch {
	case o.On && s.Value != o.Value && s.Layer == "":
		s.Problem = "the key has not arrived"
	case o.On && s.Value != o.Value:
		s.Problem = fmt.Sprintf("the layer %q says %q", s.Layer, s.Value)
	case o.On && o.Reason != "" && s.Reason != o.Reason:
		s.Problem = fmt.Sprintf("its reason is %q", s.Reason)
	case o.On && !o.Route && s.endpoints == 0:
		s.Problem = "the key is set, but this Envoy shows no metric of healthgate: does it run the plugin?"
	case o.On && !o.Route && s.On && len(s.Endpoints) == 0:
		s.Problem = "the key is set, but no endpoint went into maintenance: is it one of maintenance.keys, and can the plugin reach admin?"
	case o.On && !o.Route && !before.On && len(before.Endpoints) > 0 && arrived < settle:
		s.Problem = "the key is set, and the plugin may not have read it yet"
	case !o.On && s.On:
		s.Problem = fmt.Sprintf("the layer %q says %q: take it back there, or say --override here", s.Layer, s.Value)
	case !o.On && o.Value != "" && s.Value != o.Value:
		s.Problem = fmt.Sprintf("the layer %q says %q", s.Layer, s.Value)
	case !o.On && !o.Route && before.On && len(s.Endpoints) > 0 && len(s.Endpoints) >= len(before.Endpoints):
		s.Problem = fmt.Sprintf("the key is off, and still in maintenance: %s; is another key on, or can the plugin not reach admin?",
			strings.Join(s.Endpoints, ", "))
	}
}

// pollInterval is how often an Envoy is asked while it is waited for.
const pollInterval = 100 * time.Millisecond

// Wait asks an Envoy until it is as ordered, or the context ends; the last state says which. before is its state when the
// order was given.
func Wait(ctx context.Context, envoy *admin.Client, o Order, before State) State {
	var last State
	arrived := time.Now()
	for {
		now := time.Now()
		s := Read(ctx, envoy, o.Key, now)
		if ctx.Err() == nil || last.Envoy == "" { // what an ended context cut off says nothing
			last = s
			if s.Value != o.Value || s.Problem != "" {
				arrived = now
			}
			last.judge(o, before, now.Sub(arrived))
		}
		if last.Problem == "" {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pollInterval):
		}
	}
}

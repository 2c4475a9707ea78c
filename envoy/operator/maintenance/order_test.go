package maintenance

import (
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 11, 21, 7, 30, 15, 500, zone)
	until := func(s string) func() (string, error) { return func() (string, error) { return Until(s, now) } }
	after := func(d time.Duration) func() (string, error) { return func() (string, error) { return For(d, now) } }
	for _, test := range []struct {
		name string
		get  func() (string, error)
		want string // the value, or what the error says
	}{
		{"a duration, rounded up", after(30 * time.Minute), "2026-11-21T06:00:16Z"},
		{"a second", after(time.Second), "2026-11-21T05:30:17Z"},
		{"less than a second", after(999 * time.Millisecond), "999ms is less than a second"},
		{"none", after(0), "0s is less than a second"},
		{"RFC 3339", until("2026-12-01T06:00:00Z"), "2026-12-01T06:00:00Z"},
		{"with an offset", until("2026-12-01T06:00:00+01:00"), "2026-12-01T05:00:00Z"},
		{"local", until("2026-12-01 06:00"), "2026-12-01T04:00:00Z"},
		{"local, with seconds", until("2026-12-01T06:00:30"), "2026-12-01T04:00:30Z"},
		{"later today", until("07:31"), "2026-11-21T05:31:00Z"},
		{"tomorrow", until("07:30"), "2026-11-22T05:30:00Z"},
		{"the past", until("2026-11-21T05:30:15Z"), "2026-11-21T05:30:15Z has passed"},
		{"nothing", until(""), `"" is not a time such as`},
		{"a duration as a time", until("30m"), `"30m" is not a time such as`},
	} {
		got, err := test.get()
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"": "", "disk swap, rack 4": "", strings.Repeat("x", 256): "",
		strings.Repeat("x", 257): "257 bytes", "a\nb": "control character", "#4": "starts with #", " a": "space at its begin",
	} {
		err := CheckReason(reason)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", reason, err)
		}
	}
}

// What an Envoy says is held against what was ordered.
func TestJudge(t *testing.T) {
	t.Parallel()
	on := Order{Key: "k", Value: On, On: true}
	off := Order{Key: "k"}
	in := []string{"a"}
	for _, test := range []struct {
		name          string
		order         Order
		before, state State
		arrived       time.Duration
		want          string // part of the problem; empty: none
	}{
		{"on", on, State{}, State{On: true, Value: "true", Layer: "admin", Endpoints: in, endpoints: 1}, 0, ""},
		{"not there yet", on, State{}, State{endpoints: 1}, 0, "has not arrived"},
		{"a later layer wins", on, State{}, State{Value: "false", Layer: "admin", endpoints: 1}, 0, `the layer "admin" says "false"`},
		{"another reason", Order{Key: "k", Value: On, On: true, Reason: "r"}, State{}, State{On: true, Value: "true", Reason: "q", Endpoints: in, endpoints: 1}, 0, `its reason is "q"`},
		{"no plugin", on, State{}, State{On: true, Value: "true"}, 0, "no metric of healthgate"},
		{"nobody reads it", on, State{}, State{On: true, Value: "true", endpoints: 2}, time.Hour, "no endpoint went into maintenance"},
		{"in maintenance from before", on, State{Endpoints: in}, State{On: true, Value: "true", Endpoints: in, endpoints: 1}, time.Second, "may not have read it yet"},
		{"in maintenance from before, and still", on, State{Endpoints: in}, State{On: true, Value: "true", Endpoints: in, endpoints: 1}, settle, ""},
		{"on again", on, State{On: true, Endpoints: in}, State{On: true, Value: "true", Endpoints: in, endpoints: 1}, 0, ""},
		{"a route", Order{Key: "k", Value: RouteOn, On: true, Route: true}, State{}, State{On: true, Value: "100"}, 0, ""},
		{"off", off, State{On: true, Endpoints: in}, State{endpoints: 1}, 0, ""},
		{"off was off", off, State{}, State{endpoints: 1, Endpoints: in}, 0, ""},
		{"another layer has it on", off, State{On: true}, State{On: true, Value: "true", Layer: "disk"}, 0, `the layer "disk" says "true": take it back there`},
		{"not read yet", off, State{On: true, Endpoints: in}, State{Endpoints: in, endpoints: 1}, 0, "still in maintenance: a"},
		{"another endpoint stays", off, State{On: true, Endpoints: []string{"a", "b"}}, State{Endpoints: in, endpoints: 2}, 0, ""},
		{"overridden", Order{Key: "k", Value: Off}, State{}, State{Value: "false", Layer: "admin"}, 0, ""},
		{"not overridden yet", Order{Key: "k", Value: Off}, State{}, State{}, 0, "says"},
		{"unreachable", on, State{}, State{Problem: "refused"}, 0, "refused"},
	} {
		test.state.judge(test.order, test.before, test.arrived)
		if got := test.state.Problem; (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

package hostsim_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// run is a whole run with everything in it, traced.
func run(t *testing.T, seed uint64) string {
	var out bytes.Buffer
	host, err := hostsim.New(script(t), hostsim.Seed(seed), hostsim.Workers(3), hostsim.TraceTo(&out), hostsim.LogTo(&out),
		hostsim.FailReload, hostsim.Upstream("backend", echo), hostsim.PluginConfig(`trace
			configure set_tick_period_milliseconds 100
			tick http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 500
			request_headers get_header_map_pairs 0`))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	host.FaultAllCallouts("backend", &hostsim.CalloutFault{Delay: 30 * time.Millisecond})
	host.Advance(time.Second)
	host.Worker(2).Crash()
	for i := range 3 {
		host.Worker(i).Get("/")
		host.Advance(777 * time.Millisecond)
	}
	return out.String()
}

func TestRepeatable(t *testing.T) {
	t.Parallel()
	a, b, c := run(t, 1), run(t, 1), run(t, 2)
	if a != b {
		t.Error("two runs with one seed differ")
	}
	if a == c {
		t.Error("two runs with two seeds do not")
	}
	if len(a) < 10000 {
		t.Errorf("only %d bytes", len(a))
	}
}

// Events that fall due at the same moment happen in an order that the seed draws, or without Shuffled in the order in
// which they were planned. A request that came while the process stood still is one of the late events.
func TestShuffled(t *testing.T) {
	t.Parallel()
	orders := func(opts ...hostsim.Option) map[string]bool {
		seen := map[string]bool{}
		for seed := range uint64(20) {
			host := newHost(t, "configure set_tick_period_milliseconds 100\ntick say tick\nrequest_headers say request",
				append(opts, hostsim.Seed(seed))...)
			answered := false
			host.Worker(0).StartIn(2*time.Second, &hostsim.Request{}, func(r *hostsim.Reply) { answered = r.Status == 200 })
			from := len(host.Logs())
			host.JumpMonotonic(10 * time.Second)
			order := ""
			for _, e := range host.LogsFrom(from) {
				if e.Thread == "worker 0" {
					order += e.Message + " "
				}
			}
			seen[order] = true
			if !answered {
				t.Errorf("seed %d: the request was not answered", seed)
			}
		}
		return seen
	}
	if got := orders(); len(got) != 1 || !got["tick request "] {
		t.Errorf("unshuffled: %v", got)
	}
	if got := orders(hostsim.Shuffled()); len(got) != 2 {
		t.Errorf("shuffled: %v", got)
	}
}

package hostsim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// A live update gives the VMs there are another root context. Connections from before keep the old configuration until the
// drain time is over.
func TestUpdate(t *testing.T) {
	t.Parallel()
	const config = "trace\nconfigure set_tick_period_milliseconds 100\ndone say bye\n"
	host := newHost(t, config)
	from := len(host.Logs())
	happened := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, e := range host.LogsFrom(from) {
			callback, _, _ := strings.Cut(e.Message, "(")
			if e.Thread == "worker 0" && slices.Contains([]string{"tick", "context_create", "done"}, callback) {
				got = append(got, e.Message)
			}
		}
		from += len(host.LogsFrom(from))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	host.Advance(100 * time.Millisecond)
	happened("before", "tick(1)")
	if err := host.Update(config + "\n"); err != nil {
		t.Fatal(err)
	}
	happened("an update", "context_create(2 0)")
	host.Advance(100 * time.Millisecond)
	happened("a tick", "tick(1)", "tick(2)")
	host.Worker(0).Get("/")
	host.Worker(0).Do(&hostsim.Request{Before: 1})
	host.Worker(0).Do(&hostsim.Request{Before: 2})
	happened("requests", "context_create(3 2)", "done(3)", "context_create(4 1)", "done(4)")
	host.Drained()
	happened("the end of the drain time", "done(1)")
	host.Advance(100 * time.Millisecond)
	happened("a tick afterwards", "tick(2)")
	host.Worker(0).Do(&hostsim.Request{Before: 1})
	happened("a request through a connection that is gone")

	var refused *hostsim.LoadError
	if err := host.Update("configure return 0"); !errors.As(err, &refused) {
		t.Errorf("a configuration that is refused: %v", err)
	}
	if err := host.Update(config + "\n"); err != nil {
		t.Fatal(err)
	}
	host.Drained()
	host.Advance(100 * time.Millisecond)
	happened("the same configuration again, and the end of its drain time", "tick(2)")
}

// After a crash each configuration waits for a request of its own to be loaded into the new VM.
func TestUpdateAndCrash(t *testing.T) {
	t.Parallel()
	host := newHost(t, "request_headers say old", hostsim.FailReload)
	if err := host.Update("request_headers say new"); err != nil {
		t.Fatal(err)
	}
	host.Worker(0).Crash()
	host.Advance(2 * time.Second)
	for _, before := range []int{1, 0} {
		if r := host.Worker(0).Do(&hostsim.Request{Before: before}); r.Status != 200 {
			t.Errorf("%d updates ago: %d %s", before, r.Status, r.Details)
		}
	}
	if n := host.Worker(0).Reloads(); n != 2 {
		t.Errorf("%d reloads", n)
	}
}

// What falls due at one moment happens in an order that the seed draws; without Shuffled, as it was set up. A request that
// came while the process stood still is among what is late.
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

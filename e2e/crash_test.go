package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// What the plugin obeys when it is built for tests.
const (
	crash       = "X-Healthgate-Fault: crash"
	crashLeader = "X-Healthgate-Fault: crash-leader"
)

// takeover is how long probes may pause when the VM that sends them has died: the lease, an interval, and what a loaded
// machine adds.
const takeover = lease + interval + slack

// TestLeaderCrashes kills the VM that probes, again and again: another one takes over, and goes on where it stopped.
func TestLeaderCrashes(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.FaultyWasm(t), a.Port)
	const threshold = 6
	config.Listener("ingress").Change(func(s object) {
		last := envoytest.At[object](s, "probes", 2)
		last["unhealthy_threshold"] = threshold
	})
	b := start(t, a, config, 4)
	b.settle(t)
	startTraffic(t, b.balancer)

	t.Run("threshold goes on", func(t *testing.T) {
		counted := alive("stats")
		before := a.Count(counted)
		a.Answer(counted, http.StatusInternalServerError)
		envoytest.Eventually(t, envoytest.Limit, "half of the threshold", func() error {
			if n := a.Count(counted) - before; n < threshold/2 {
				return fmt.Errorf("%d failures", n)
			}
			return nil
		})
		w := watch(t, b.balancer)
		killLeader(t, b)
		b.within(t, envoytest.Limit, 500, "FAILED")
		const unhealthy = `probe "stats": unhealthy: `
		envoytest.Eventually(t, envoytest.Limit, "the change is logged", func() error { return b.envoy.Log.Has(unhealthy) })
		changed := loggedAt(t, b.envoy.Log.Lines(unhealthy)[0])
		n := 0
		for _, r := range a.Seen(counted)[before:] {
			if r.At.Before(changed) {
				n++
			}
		}
		// The result of a probe that was under way at the crash is lost.
		if n < threshold || n > threshold+1 {
			t.Errorf("unhealthy after %d failures, the threshold is %d", n, threshold)
		}
		// "503 " comes from the worker whose VM crashed, until it is loaded again.
		w.Saw(t, "200 OK", "503 ", "500 FAILED")
		a.Answer(counted, http.StatusOK)
		b.within(t, envoytest.Limit, 200, "OK")
	})

	t.Run("probes go on", func(t *testing.T) {
		for range 3 {
			pause := killLeader(t, b)
			t.Logf("the longest pause of a probe: %v", pause.Round(time.Millisecond))
			if pause > takeover {
				t.Errorf("probes paused for %v, want at most %v", pause, takeover)
			}
		}
		b.settle(t)
		for _, node := range []string{"inbound", "outbound"} {
			if got := logged(b.envoy.Log, fmt.Sprintf("probe %q", node)); len(got) != 1 {
				t.Errorf("probe %s changed its state: %q", node, got)
			}
		}
	})
}

// killLeader crashes the leading VM. It waits for the probes of the next leader and returns the longest pause.
func killLeader(t testing.TB, b *bench) time.Duration {
	t.Helper()
	tickCrashed := "Function: proxy_on_tick" + envoytest.Crashed
	crashes := len(b.envoy.Log.Lines(tickCrashed))
	leaders := len(logged(b.envoy.Log, "leader"))
	before := map[string]int{}
	for _, node := range nodes {
		before[node] = b.app.Count(alive(node))
	}
	// A worker whose VM is gone can't pass the order on; another one can.
	envoytest.Eventually(t, envoytest.Limit, "order to crash", b.orders(crashLeader))
	envoytest.Eventually(t, envoytest.Limit, "the leader crashes", func() error {
		if len(b.envoy.Log.Lines(tickCrashed)) == crashes {
			return errors.New("it has not crashed")
		}
		return nil
	})
	var pause time.Duration
	for _, node := range nodes {
		var seen []app.Request
		envoytest.Eventually(t, envoytest.Limit, "the next leader probes", func() error {
			if len(logged(b.envoy.Log, "leader")) == leaders {
				return errors.New("no next leader")
			}
			// The old leader may have sent one more; the pause lies before one of these two.
			if seen = b.app.Seen(alive(node)); len(seen) < before[node]+2 {
				return fmt.Errorf("%s has not been probed", node)
			}
			return nil
		})
		for i := before[node]; i < len(seen); i++ {
			pause = max(pause, seen[i].At.Sub(seen[i-1].At))
		}
	}
	return pause
}

// orders returns a condition: a working VM has obeyed a fault header.
func (b *bench) orders(fault string) func() error {
	return func() error {
		a, err := b.balancer.request("GET", check, "", fault)
		if err == nil && a.Body == "" {
			err = fmt.Errorf("answered %v", a)
		}
		return err
	}
}

// TestFailurePolicies crashes every worker's VM behind both gates. Under FAIL_CLOSED, checks are never answered again,
// and ordinary traffic goes on all the same: it never enters a VM.
func TestFailurePolicies(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.FaultyWasm(t), a.Port)
	config.Listener("ingress").Plugin()["failure_policy"] = "FAIL_CLOSED"
	matcherGate(t, config.AddListener("matcher"))
	b := start(t, a, config, 2)
	b.settle(t)
	for _, listener := range []string{"ingress", "matcher"} {
		b := b.at(config.Listener(listener))
		startTraffic(t, b.balancer)
		envoytest.Eventually(t, envoytest.Limit, "every worker's VM has crashed", func() error {
			b.balancer.get(t, check, crash).is(t, 503, "")
			return b.steadily(40, 503, "")
		})
		for range 40 {
			b.balancer.get(t, "/other").isApp(t, "/other")
		}
	}
	if n := a.Count(check); n > 0 {
		t.Errorf("the application saw %d health checks", n)
	}
}

// crashFollower crashes the VM of a worker that does not lead.
func (b *bench) crashFollower(t testing.TB) {
	t.Helper()
	b.envoy.Post("/logging?conn_handler=debug")
	envoytest.Eventually(t, envoytest.Limit, "a connection to a worker that does not lead", func() error {
		earlier := len(b.envoy.Log.Lines(connected)) // one of them may have had the same port
		conn, err := b.balancer.dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		var opened string
		envoytest.Eventually(t, envoytest.Limit, "the connection is logged", func() error {
			for _, line := range b.envoy.Log.Lines(connected)[earlier:] {
				if strings.HasSuffix(line, connected+conn.LocalAddr().String()) {
					opened = line
					return nil
				}
			}
			return fmt.Errorf("no connection from %v", conn.LocalAddr())
		})
		leaders := b.envoy.Log.Lines("healthgate: leader: ")
		if thread(t, opened) == thread(t, leaders[len(leaders)-1]) {
			return fmt.Errorf("that worker leads")
		}
		a, err := exchange(conn, "GET", requestText("GET", check, "", crash))
		if err != nil {
			return err
		}
		a.is(t, 503, "")
		return nil
	})
}

var threadField = regexp.MustCompile(`^\[[^]]*\]\[(\d+)\]`)

var timeField = regexp.MustCompile(`^\[([^]]*)\]`)

// loggedAt returns the end of the millisecond in which a line was logged.
func loggedAt(t testing.TB, line string) time.Time {
	t.Helper()
	if field := timeField.FindStringSubmatch(line); field != nil {
		if at, err := time.ParseInLocation("2006-01-02 15:04:05.000", field[1], time.Local); err == nil {
			return at.Add(time.Millisecond)
		}
	}
	t.Fatalf("no time in %q", line)
	return time.Time{}
}

// connected is what Envoy logs, before the address, of each new connection.
const connected = "new connection from "

// thread returns the thread that logged a line.
func thread(t testing.TB, line string) string {
	t.Helper()
	field := threadField.FindStringSubmatch(line)
	if field == nil {
		t.Fatalf("no thread in %q", line)
	}
	return field[1]
}

package e2e

import (
	"fmt"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const runtimeFailures = "wasmcustom.healthgate_callout_failures_total.callout.admin_runtime"

// TestUnknown: what has not been seen, or can't be read, is not healthy.
func TestUnknown(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)

	// The filter reaches admin through a relay that can be cut, while the test goes there directly.
	admin := &url.URL{Scheme: "http", Host: envoytest.Loopback(config.AdminPort)}
	relay := app.Serve(t, httputil.NewSingleHostReverseProxy(admin))
	relay.Vanish()
	config.AddCluster("relay", relay.Port)
	for _, onStale := range []string{"keep", "fail"} {
		config.AddListener(onStale).Change(func(s object) {
			s["admin"] = object{"cluster": "relay", "interval": "500ms", "timeout": "5s", "max_age": "5s", "on_stale": onStale}
			// One endpoint's key is set in the course of the test, the other's never is.
			envoytest.At[object](s, "endpoints", 1)["maintenance"] = envoytest.Parse(`{"keys": ["never.set"]}`)
		})
	}
	config.AddListener("slow").Change(func(s object) {
		last := envoytest.At[object](s, "probes", 2)
		last["path"], last["timeout"] = "/slow/isalive", "1m" // the longest there is
	})
	release := a.Hold("/slow/isalive")

	b := &bench{app: a, envoy: envoytest.Launch(t, config, 2)}
	slow := b.at(config.Listener("slow"))
	keeps, fails := b.at(config.Listener("keep")), b.at(config.Listener("fail"))
	first := watch(t, slow.balancer)
	unread := watch(t, keeps.balancer)
	b.envoy.WaitReady()

	t.Run("first round", func(t *testing.T) { testFirstRound(t, slow, first, release) })
	t.Run("never read", func(t *testing.T) {
		testNeverRead(t, keeps, fails, unread)
		relay.Return()
		keeps.within(t, interval+slack, 200, "OK")
		fails.within(t, interval+slack, 200, "OK")
	})
	t.Run("no longer read", func(t *testing.T) { testNoLongerRead(t, keeps, fails, relay) })
}

// testFirstRound: as long as one probe has not been answered once, no check is healthy.
func testFirstRound(t *testing.T, b *bench, w *envoytest.Load, release func()) {
	envoytest.Eventually(t, envoytest.Limit, "all but one probe are answered", func() error {
		for _, subject := range []string{`probe "inbound"`, `probe "outbound"`} {
			if err := b.envoy.Log.Has("wasm log slow ", subject+": healthy"); err != nil {
				return err
			}
		}
		if b.app.Count("/slow/isalive") == 0 {
			return fmt.Errorf("the last probe has not come")
		}
		return nil
	})
	for range 20 {
		b.balancer.get(t, check).is(t, 503, "UNKNOWN")
	}
	w.Saw(t, "503 UNKNOWN")
	release()
	b.within(t, slack, 200, "OK")
}

// testNeverRead: while runtime has not been read once nothing is known, and there is nothing that on_stale could keep.
func testNeverRead(t *testing.T, keeps, fails *bench, w *envoytest.Load) {
	envoytest.Eventually(t, envoytest.Limit, "polls fail for longer than max_age", func() error {
		if n := keeps.envoy.Stats("callout_failures")[runtimeFailures]; n < 14 {
			return fmt.Errorf("%d have failed", n)
		}
		return nil
	})
	for range 20 {
		keeps.balancer.get(t, check).is(t, 503, "UNKNOWN")
		fails.balancer.get(t, check).is(t, 503, "UNKNOWN")
	}
	w.Saw(t, "503 UNKNOWN")
}

// testNoLongerRead: when admin can't be reached any more the last reading counts, until max_age; then on_stale decides.
func testNoLongerRead(t *testing.T, keeps, fails *bench, relay *app.App) {
	e := keeps.envoy
	envoytest.Eventually(t, envoytest.Limit, "all workers healthy", func() error { return keeps.steadily(20, 200, "OK") })
	e.SetRuntime(key, "on")
	keeps.within(t, interval+slack, 503, sorry)
	fails.within(t, interval+slack, 503, sorry)
	relay.Vanish()
	// This key has not changed, so only on_stale tells the answers apart.
	cut := time.Now()
	envoytest.Eventually(t, envoytest.Limit, "runtime is stale", fails.balancer.gets(empty, 503, "UNKNOWN"))
	if age := time.Since(cut); age < time.Second {
		t.Errorf("runtime was stale %v after the last reading, max_age is 5s", age)
	}
	e.SetRuntime(key, "")
	for range 20 {
		keeps.balancer.get(t, empty).is(t, 200, "")
		// What was switched on stays on: no one is known to have switched it off.
		keeps.balancer.get(t, check).is(t, 503, sorry)
		fails.balancer.get(t, check).is(t, 503, sorry)
	}
	logsTwice(t, e, "admin was cut twice", "runtime: cannot be read through cluster", `"relay"`)
	envoytest.Eventually(t, envoytest.Limit, "failures are counted", func() error {
		if e.Stats("callout_failures")[runtimeFailures] < 4 {
			return fmt.Errorf("%v", e.Stats("callout_failures"))
		}
		return nil
	})
	relay.Return()
	keeps.within(t, interval+slack, 200, "OK")
	fails.within(t, interval+slack, 200, "OK")
	logsTwice(t, e, "and came back twice", "runtime: read again")
}

// logsTwice waits until the plugin has logged something twice. The lines come through a pipe, and may be late. Each
// time the two listeners, which share a leader, have got another one, it may say it once more, or have nothing to say.
func logsTwice(t *testing.T, e *envoytest.Envoy, what string, texts ...string) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, what, func() error {
		const leads = "healthgate: leader: "
		others := len(e.Log.Lines("wasm log keep ", leads)) + len(e.Log.Lines("wasm log fail ", leads)) - 1
		if lines := e.Log.Lines(append(texts, "wasm log")...); len(lines) < 2-others || len(lines) > 2+others {
			return fmt.Errorf("with %d changes of the leader, the log has %q", others, lines)
		}
		return nil
	})
}

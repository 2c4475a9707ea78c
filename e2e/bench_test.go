package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

type object = envoytest.Object

// bench is an Envoy with its application, and two clients of one of its listeners.
type bench struct {
	app      *app.App
	envoy    *envoytest.Envoy
	balancer client // a trusted source
	stranger client // an untrusted one
}

// start starts an Envoy in front of an application. The clients are those of the shipped listener.
func start(t testing.TB, a *app.App, config *envoytest.Config, workers int) *bench {
	t.Helper()
	b := &bench{app: a, envoy: envoytest.Start(t, config, workers)}
	return b.at(config.Listener("ingress"))
}

// at returns the same bench with the clients of another listener.
func (b *bench) at(l *envoytest.Listener) *bench {
	return &bench{b.app, b.envoy, from(trusted, l.Address()), from(untrusted, l.Address())}
}

// settle waits until the check is healthy.
func (b *bench) settle(t testing.TB) time.Duration {
	t.Helper()
	return envoytest.Eventually(t, envoytest.Limit, "healthy", b.balancer.gets(check, 200, "OK"))
}

// within waits for the answer of the check, no longer than it may take.
func (b *bench) within(t testing.TB, limit time.Duration, status int, body string) {
	t.Helper()
	what := fmt.Sprintf("check answered %d %s", status, body)
	took := envoytest.Eventually(t, limit, what, b.balancer.gets(check, status, body))
	t.Logf("%s after %v", what, took.Round(time.Millisecond))
}

// becomes waits until a gauge has the value. The gauge follows the answer at once, but not before it.
func (b *bench) becomes(t testing.TB, gauge string, value int) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, gauge, func() error { return b.envoy.Stat(gauge, value) })
}

// lease is how long a leader stays one that does not renew its lease.
const lease = 1500 * time.Millisecond

// leaders returns how often a VM has become the leader: once, and at the most once more after each pause of the probes
// that was as long as the lease, as when the machine stopped for so long.
func (b *bench) leaders(t testing.TB) int {
	t.Helper()
	pauses := 0
	seen := b.app.Seen(alive("inbound"))
	for i := 1; i < len(seen); i++ {
		if seen[i].At.Sub(seen[i-1].At) >= lease-100*time.Millisecond {
			pauses++
		}
	}
	const counter = "wasmcustom.healthgate_leader_changes_total"
	n := b.envoy.Stats(counter)[counter]
	if n < 1 || n > 1+pauses {
		t.Errorf("the leader changed %d times, the probes paused %d times", n, pauses)
	}
	return n
}

// steadily returns an error unless the check is answered the same a number of times, through as many connections, so
// that every worker is very likely among them.
func (b *bench) steadily(times, status int, body string) error {
	for range times {
		if err := b.balancer.gets(check, status, body)(); err != nil {
			return err
		}
	}
	return nil
}

// everywhere waits until no worker answers the check otherwise.
func (b *bench) everywhere(t testing.TB, status int, body string) {
	t.Helper()
	what := fmt.Sprintf("all workers answer %d %s", status, body)
	envoytest.Eventually(t, envoytest.Limit, what, func() error { return b.steadily(40, status, body) })
}

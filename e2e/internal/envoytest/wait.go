package envoytest

import (
	"testing"
	"time"
)

// Limit is how long a condition may take that should hold within moments. It is generous: a loaded machine must not
// fail a test, and a test that passes never waits for it.
const Limit = 30 * time.Second

// StartLimit is how long an Envoy may take until it is ready. It compiles the plugin first, which takes all of a
// processor for seconds; on a loaded machine much longer.
const StartLimit = 4 * Limit

// pollPeriod is how often a condition is looked at.
const pollPeriod = 10 * time.Millisecond

// Eventually waits until the condition returns nil, and returns how long that took. It ends the test with the
// condition's last error when the limit has passed.
func Eventually(t testing.TB, limit time.Duration, what string, condition func() error) time.Duration {
	t.Helper()
	start := time.Now()
	poll := time.NewTicker(pollPeriod)
	defer poll.Stop()
	for {
		err := condition()
		took := time.Since(start)
		if err == nil {
			return took
		}
		if took > limit {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		<-poll.C
	}
}

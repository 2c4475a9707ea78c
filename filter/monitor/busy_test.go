package monitor

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
)

// Envoy's main thread is busy for 10 s, and admin answers nothing until then. With the defaults no reading grows older
// than max_age; with other values one does only if the reader warned of it.
func TestMainThreadBusy(t *testing.T) {
	t.Parallel()
	for _, interval := range []int64{100, 500, 1000, 3000, 9000, 30_000} {
		for _, timeout := range []int64{10, 500, 1000, 1600, 2000, 3300, 10_000} {
			oldest := int64(0)
			for began := int64(0); began < interval; began += interval / 10 {
				oldest = max(oldest, oldestReading(interval, timeout, began))
			}
			c, err := config.Parse(fmt.Appendf(nil, `{"admin": {"cluster": "a", "interval": "%dms", "timeout": "%dms",
				"max_age": "%dms", "on_stale": "fail"}, "endpoints": [{"name": "a", "paths": ["/"],
				"trusted": {"cidrs": ["10.0.0.0/8"]}}]}`, interval, timeout, oldest-1), config.Node{})
			if err != nil || len(c.Warnings) != 1 {
				t.Errorf("interval %d ms, timeout %d ms: a reading is %d ms old, but a max_age of less is not warned of: %v",
					interval, timeout, oldest, err)
			}
			if interval == 1000 && timeout == 2000 && duration.Duration(oldest*ms) > config.DefaultMaxAge {
				t.Errorf("by default a reading is %d ms old", oldest)
			}
		}
	}
}

// oldestReading returns how old a reading is at most, in milliseconds, if the main thread begins to be busy so long
// after a turn.
func oldestReading(interval, timeout, began int64) (age int64) {
	const step = 5
	c := full()
	c.Admin.Interval, c.Admin.Timeout = duration.Duration(interval*ms), duration.Duration(timeout*ms)
	r := newRig(c, nil)
	from := 2*interval + began
	until := from + 10_000
	asked, read := map[int]int64{}, map[int]int64{}
	for now := int64(0); read[runtimeCallout] <= until || read[readyCallout] <= until; now += step {
		r.now = start + now*ms
		for i, body := range map[int]string{runtimeCallout: document(), readyCallout: "LIVE\n"} {
			at, flying := asked[i]
			free := now < from || until <= now
			switch {
			case !flying:
			case now-at >= timeout:
				r.Answered(i, r.flying[i], local(504, ""))
				delete(asked, i)
			case free && now > at:
				r.Answered(i, r.flying[i], upstream(200, body))
				delete(asked, i)
				age = max(age, now-read[i])
				read[i] = now
			}
		}
		if now%int64(TickPeriod(c)/duration.Millisecond) == 0 {
			for _, i := range r.due() {
				asked[i] = now
			}
			delete(asked, probeCallout)
		}
	}
	return age
}

package monitor

import (
	"testing"

	"github.com/healthgate/healthgate/filter/duration"
)

// TestTimedOut tells Envoy's own 504 from an application's, also when Envoy's timer was early by this clock.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after duration.Duration
		body  string
		want  uint32
	}{
		{500 * duration.Millisecond, "upstream request timeout", 503},
		{490 * duration.Millisecond, "upstream request timeout", 503},
		{500 * duration.Millisecond, "", 503},
		{490 * duration.Millisecond, "gone fishing", 504},
	} {
		w := &world{now: int64(duration.Hour)}
		m := New(probes(), nil, w, w)
		s := m.Due()[0]
		w.now += int64(c.after)
		m.Answered(s.Callout, s.Number, 504, func() []byte { return []byte(c.body) })
		if got := m.Record.Probes[0].Status; got != c.want {
			t.Errorf("504 %q after %v counts as %d, want %d", c.body, c.after, got, c.want)
		}
	}
}

package monitor

import (
	"testing"
	"time"
)

// TestTimedOut tells Envoy's own 504 from an application's, also when Envoy's timer was early by this clock.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after time.Duration
		body  string
		want  uint32
	}{
		{500 * time.Millisecond, "upstream request timeout", 503},
		{490 * time.Millisecond, "upstream request timeout", 503},
		{500 * time.Millisecond, "", 503},
		{490 * time.Millisecond, "gone fishing", 504},
	} {
		w := &world{now: int64(time.Hour)}
		m := New(probes(), nil, w, w)
		s := m.Due()[0]
		w.now += int64(c.after)
		m.Answered(s.Callout, s.Number, 504, func() []byte { return []byte(c.body) })
		if got := m.Record.Probes[0].Status; got != c.want {
			t.Errorf("504 %q after %v counts as %d, want %d", c.body, c.after, got, c.want)
		}
	}
}

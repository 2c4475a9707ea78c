package monitor

import (
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// TestTimedOut tells Envoy's own answers from an upstream's of the same text, whatever the time they took.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	const timeout, connect = "upstream request timeout",
		"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
	for _, test := range []struct {
		after   duration.Duration
		r       Response
		outcome snapshot.Outcome
		status  uint32
		line    string
	}{
		{500 * duration.Millisecond, local(504, timeout), snapshot.TimedOut, 0, "timed out after 500ms, counts as 503"},
		{490 * duration.Millisecond, local(504, timeout), snapshot.TimedOut, 0, "timed out after 500ms, counts as 503"},
		{700 * duration.Millisecond, local(504, ""), snapshot.TimedOut, 0, "timed out after 500ms, counts as 503"},
		{20 * duration.Millisecond, upstream(504, timeout), snapshot.Answered, 504, "status 504"},
		{499 * duration.Millisecond, upstream(504, timeout), snapshot.Answered, 504, "status 504"},
		{500 * duration.Millisecond, upstream(504, "gone fishing"), snapshot.Answered, 504, "status 504"},
		{500 * duration.Millisecond, upstream(500, ""), snapshot.Answered, 500, "status 500"},
		{duration.Millisecond, upstream(503, connect), snapshot.Answered, 503, "status 503"},
		{duration.Millisecond, local(503, connect), snapshot.NoConnection, 0,
			"no response: remote connection failure, counts as 503"},
		{duration.Millisecond, local(503, "reset reason: connection timeout"), snapshot.NoConnection, 0,
			"no response: connection timeout, counts as 503"},
		{duration.Millisecond, local(503, "reset reason: connection termination"), snapshot.CutOff, 0,
			"no response: connection termination, counts as 503"},
		{duration.Millisecond, local(503, "no healthy upstream"), snapshot.Unreachable, 0, "no response, counts as 503"},
	} {
		t.Run(test.line, func(t *testing.T) {
			r := newRig(probes(), nil)
			number := r.Due()[0].Number
			r.now += int64(test.after)
			r.Answered(0, number, test.r)
			p := r.Record.Probes[0]
			if p.Outcome != test.outcome || p.Status != test.status || p.Healthy ||
				int64(p.TookMs) != min(int64(test.after), 500*ms)/ms ||
				p.StartedAt != start || p.At != r.now || p.ChangedAt != r.now {
				t.Errorf("%+v after %v: %+v", test.r, test.after, p)
			}
			r.said(t, test.line, `probe "p": unhealthy: `+test.line)
		})
	}
}

package monitor

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// An unrecognized value is logged once, and counts as on.
func TestUnrecognizedValues(t *testing.T) {
	t.Parallel()
	const unknown = ` is neither a truth value, a number nor an RFC 3339 time; it counts as on`
	r := newRig(full(), nil)
	for i, step := range []struct {
		document string
		on       bool
		bad      int
		lines    []string
	}{
		{document(), false, 0, nil},
		{document(entry("k", "on")), true, 0, nil},
		{document(entry("k", "ture")), true, 1, []string{`runtime: key "k" = "ture"` + unknown}},
		{document(entry("k", "ture")), true, 1, nil},
		{document(entry("k", "ture"), entry("k.reason", "x")), true, 1, nil},
		{document(entry("k", "treu")), true, 2, []string{`runtime: key "k" = "treu"` + unknown}},
		{document(entry("k", "off"), entry("k.reason", "x")), false, 2, nil},
		{document(entry("k", "ture")), true, 3, []string{`runtime: key "k" = "ture"` + unknown}},
		{document(entry("other", "on"), entry("k", "")), false, 3, nil},
	} {
		t.Run(step.document, func(t *testing.T) {
			r.answer(t, runtimeCallout, 200, step.document)
			r.said(t, fmt.Sprint("step ", i), step.lines...)
			if r.Record.Keys[0].Switch.On != step.on || r.bad != step.bad || r.Record.Runtime.At != r.now {
				t.Errorf("step %d: %+v, %d counted, read at %d", i, r.Record.Keys[0], r.bad, r.Record.Runtime.At)
			}
		})
	}
}

// Trouble with runtime is logged when it begins and when it ends; the last reading stands.
func TestRuntimeUnreadable(t *testing.T) {
	t.Parallel()
	const cannot = `runtime: cannot be read through cluster "a": `
	for _, test := range []struct {
		name, line string
		fail       func(r *rig)
	}{
		{"a status", "status 404", func(r *rig) { r.answer(t, runtimeCallout, 404, document(entry("k", "off"))) }},
		{"not quite success", "status 204", func(r *rig) { r.answer(t, runtimeCallout, 204, document()) }},
		{"no JSON", "not the JSON of /runtime?format=json", func(r *rig) { r.answer(t, runtimeCallout, 200, "<html>") }},
		{"nothing", "not the JSON of /runtime?format=json", func(r *rig) { r.answer(t, runtimeCallout, 200, "") }},
		{"reset", "reset within the response", func(r *rig) {
			r.now += int64(duration.Second)
			r.due()
			r.Failed(runtimeCallout, r.flying[runtimeCallout], snapshot.CutOff)
			r.callouts[readyCallout].complete(r.flying[readyCallout])
			r.callouts[probeCallout].complete(r.flying[probeCallout])
		}},
		{"timeout", "timed out after 500ms", func(r *rig) {
			r.now += int64(duration.Second)
			r.due()
			r.now += 500 * ms
			r.Answered(runtimeCallout, r.flying[runtimeCallout], local(504, ""))
			r.callouts[readyCallout].complete(r.flying[readyCallout])
			r.callouts[probeCallout].complete(r.flying[probeCallout])
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(full(), nil)
			r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
			read := r.now
			r.log = nil
			test.fail(r)
			r.said(t, test.name, cannot+test.line)
			r.now += 10 * int64(duration.Second)
			test.fail(r)
			r.said(t, test.name+", again")
			if r.bad != 2 || r.Record.Runtime.At != read || !r.Record.Keys[0].Switch.On {
				t.Errorf("%s: %d failed, read at %d, %+v", test.name, r.bad, r.Record.Runtime.At, r.Record.Keys[0])
			}
			r.now += 10 * int64(duration.Second) // the longest pause
			r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
			r.said(t, test.name+", over", "runtime: read again")
			r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
			r.said(t, test.name+", still over")
			test.fail(r)
			r.said(t, test.name+", anew", cannot+test.line)
		})
	}
}

// A poll that fails in another way is told again, as a probe is.
func TestAnotherUnreadable(t *testing.T) {
	t.Parallel()
	const cannot = `runtime: cannot be read through cluster "a": `
	r := newRig(full(), nil)
	for i, step := range []struct {
		seconds int64
		status  uint32
		line    string
	}{
		{1, 403, cannot + "status 403"}, {9, 404, ""}, {1, 404, cannot + "status 404"}, {60, 404, ""}, {1,
			500, cannot + "status 500"},
	} {
		r.now += (step.seconds - 1) * int64(duration.Second)
		r.answer(t, runtimeCallout, step.status, "")
		var want []string
		if step.line != "" {
			want = []string{step.line}
		}
		r.said(t, fmt.Sprint("step ", i), want...)
	}
}

// The answers to /ready, and what they say. Whatever Envoy's handler does not write is a failed reading, told once.
func TestReady(t *testing.T) {
	t.Parallel()
	const cannot, without = `draining: cannot be read through cluster "a": `, " without the name of a state"
	r := newRig(full(), nil)
	for i, step := range []struct {
		status   uint32
		body     string
		read     bool
		draining bool
		bad      int
		lines    []string
	}{
		{503, "PRE_INITIALIZING\n", false, false, 0, nil},
		{503, "INITIALIZING\n", false, false, 0, nil},
		{200, "LIVE\n", true, false, 0, nil},
		{503, "DRAINING\n", true, true, 0, []string{"draining: on"}},
		{503, "DRAINING\n", true, true, 0, nil},
		{503, "INITIALIZING\n", false, true, 0, nil}, // says nothing of draining: what was known stands
		{404, "", false, true, 1, []string{cannot + "status 404" + without}},
		{403, "Forbidden\n", false, true, 2, nil},
		{503, "upstream connect error, DRAINING\n", false, true, 3, nil},
		{200, "LIVE\n", true, false, 3, []string{"draining: read again", "draining: off"}},
		{302, "", false, false, 4, []string{cannot + "status 302" + without}},
		{200, "LIVE\n", true, false, 4, []string{"draining: read again"}},
		{200, "<html>LIVE\n", false, false, 5, []string{cannot + "status 200" + without}},
		{200, "DRAINING\n", false, false, 6, nil},
		{200, "INITIALIZING\n", false, false, 7, nil},
		{503, "LIVE\n", false, false, 8, nil},
		{503, "", false, false, 9, nil},
		{503, "DRAINING", false, false, 10, nil},
		{500, "DRAINING\n", false, false, 11, nil},
		{503, "DRAINING\n", true, true, 11, []string{"draining: read again", "draining: on"}},
	} {
		t.Run(step.body, func(t *testing.T) {
			r.answer(t, readyCallout, step.status, step.body)
			r.said(t, fmt.Sprint("step ", i), step.lines...)
			if read := r.Record.Ready.At == r.now; r.Record.Draining != step.draining || r.bad != step.bad || read != step.read {
				t.Errorf("step %d: read %v, draining %v, %d failed", i, read, r.Record.Draining, r.bad)
			}
		})
	}
	r.now += int64(duration.Second)
	r.due()
	r.Failed(readyCallout, r.flying[readyCallout], snapshot.CutOff)
	r.said(t, "cut off", cannot+"reset within the response")
	if r.bad != 12 || !r.Record.Draining {
		t.Errorf("cut off: %d failed, draining %v", r.bad, r.Record.Draining)
	}
}

// An Envoy that still starts is asked again at the next tick.
func TestReadyOfAnEnvoyThatStarts(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	for range 3 {
		r.answerNow(t, readyCallout, 503, "INITIALIZING\n")
		r.now += 50 * ms
	}
	r.answerNow(t, readyCallout, 200, "LIVE\n")
	if r.now += 50 * ms; len(r.due()) != 0 {
		t.Error("asked again before the interval is over")
	}
}

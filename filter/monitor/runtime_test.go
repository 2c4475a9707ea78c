package monitor

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/duration"
)

// onLine begins the line about endpoint "e" when key "k" puts it under maintenance.
const onLine = `maintenance: endpoint "e": on: key "k" = `

func TestMaintenanceLog(t *testing.T) {
	t.Parallel()
	const unknown = ` is neither a truth value, a number nor an RFC 3339 time; it counts as on`
	r := newRig(full(), nil)
	for i, step := range []struct {
		document string
		e, f     bool
		bad      int
		lines    []string
	}{
		{document(), false, false, 0, nil},
		{document(entry("k", "on")), true, false, 0, []string{onLine + `"on"`}},
		{document(entry("k", "on")), true, false, 0, nil},
		{document(entry("k", "on"), entry("k.reason", "disk")), true, false, 0, []string{onLine + `"on", reason "disk"`}},
		{document(entry("k", "on"), entry("k.reason", `a\nb \"c\"`)), true, false, 0, []string{onLine + `"on", reason "a\nb \"c\""`}},
		{document(entry("k", "100"), entry("k.reason", "x")), true, false, 0, []string{onLine + `"100", reason "x"`}},
		{document(entry("k", "100")), true, false, 0, []string{onLine + `"100"`}},
		{document(entry("k", "ture")), true, false, 1, []string{`runtime: key "k" = "ture"` + unknown, onLine + `"ture"`}},
		{document(entry("k", "ture")), true, false, 1, nil},
		{document(entry("k", "ture"), entry("k.reason", "x")), true, false, 1, []string{onLine + `"ture", reason "x"`}},
		{document(entry("k", "treu")), true, false, 2, []string{`runtime: key "k" = "treu"` + unknown, onLine + `"treu"`}},
		{document(entry("k", "off"), entry("k.reason", "x")), false, false, 2, []string{`maintenance: endpoint "e": off`}},
		{document(entry("k", "ture")), true, false, 3, []string{`runtime: key "k" = "ture"` + unknown, onLine + `"ture"`}},
		{document(), false, false, 3, []string{`maintenance: endpoint "e": off`}},
		{document(entry("z", "1")), true, true, 3, []string{`maintenance: endpoint "e": on: key "z" = "1"`, `maintenance: endpoint "f": on: key "z" = "1"`}},
		{document(entry("z", "1"), entry("k", "yes")), true, true, 3, []string{onLine + `"yes"`}},
		{document(entry("k", "yes")), true, false, 3, []string{`maintenance: endpoint "f": off`}},
		{document(entry("other", "on"), entry("k", "")), false, false, 3, []string{`maintenance: endpoint "e": off`}},
	} {
		r.answer(t, runtimeCallout, 200, step.document)
		r.said(t, fmt.Sprint("step ", i), step.lines...)
		if r.Maintenance(0) != step.e || r.Maintenance(1) != step.f || r.bad != step.bad || r.Record.RuntimeAt != r.now {
			t.Errorf("step %d: maintenance %v %v, %d counted, read at %d", i, r.Maintenance(0), r.Maintenance(1), r.bad, r.Record.RuntimeAt)
		}
	}
}

// Maintenance ends by its time on a tick, without another reading.
func TestMaintenanceEndsByItsTime(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil) // its wall clock began an hour after 1970
	r.answer(t, runtimeCallout, 200, document(entry("k", "1970-01-01T01:00:05Z")))
	r.said(t, "begin", onLine+`"1970-01-01T01:00:05Z"`)
	r.Written()
	r.now = start + 5000*ms - 1
	if r.idle(); !r.Maintenance(0) {
		t.Error("it ended early")
	}
	r.said(t, "before the end")
	r.Written()
	r.now++
	if r.idle(); r.Maintenance(0) || !r.WriteDue() || !r.Written() {
		t.Error("it did not end, or this is not to be told")
	}
	r.said(t, "the end", `maintenance: endpoint "e": off`)
	r.now += int64(duration.Second)
	r.answer(t, runtimeCallout, 200, document(entry("k", "1970-01-01T01:00:05Z")))
	r.said(t, "read again after the end")
	if r.bad != 0 {
		t.Errorf("%d counted", r.bad)
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
		{"reset", "no response", func(r *rig) {
			r.now += int64(duration.Second)
			r.due()
			r.Failed(runtimeCallout, r.flying[runtimeCallout], "no response")
			r.land(readyCallout, r.flying[readyCallout])
			r.land(probeCallout, r.flying[probeCallout])
		}},
		{"timeout", "timed out after 500ms", func(r *rig) {
			r.now += int64(duration.Second)
			r.due()
			r.now += 500 * ms
			r.Answered(runtimeCallout, r.flying[runtimeCallout], 504, nil)
			r.land(readyCallout, r.flying[readyCallout])
			r.land(probeCallout, r.flying[probeCallout])
		}},
	} {
		r := newRig(full(), nil)
		r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
		read := r.now
		r.log = nil
		test.fail(r)
		r.said(t, test.name, cannot+test.line)
		test.fail(r)
		r.said(t, test.name+", again")
		if r.bad != 2 || r.Record.RuntimeAt != read || !r.Maintenance(0) {
			t.Errorf("%s: %d failed, read at %d, maintenance %v", test.name, r.bad, r.Record.RuntimeAt, r.Maintenance(0))
		}
		r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
		r.said(t, test.name+", over", "runtime: read again")
		r.answer(t, runtimeCallout, 200, document(entry("k", "on")))
		r.said(t, test.name+", still over")
		test.fail(r)
		r.said(t, test.name+", anew", cannot+test.line)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	for i, step := range []struct {
		status   uint32
		body     string
		draining bool
		bad      int
		lines    []string
	}{
		{200, "LIVE\n", false, 0, nil},
		{503, "PRE_INITIALIZING\n", false, 1, nil},
		{503, "DRAINING\n", true, 1, []string{"draining: on"}},
		{503, "DRAINING\n", true, 1, nil},
		{503, "INITIALIZING\n", true, 2, nil}, // says nothing of draining: what was known stands
		{404, "", true, 3, nil},
		{503, "upstream connect error, DRAINING", true, 4, nil},
		{200, "LIVE\n", false, 4, []string{"draining: off"}},
		{200, "LIVE\n", false, 4, nil},
		{503, "no healthy upstream", false, 5, nil},
	} {
		r.answer(t, readyCallout, step.status, step.body)
		r.said(t, fmt.Sprint("step ", i), step.lines...)
		if r.Record.Draining != step.draining || r.bad != step.bad {
			t.Errorf("step %d: draining %v, %d failed", i, r.Record.Draining, r.bad)
		}
	}
	r.now += int64(duration.Second)
	r.due()
	r.Failed(readyCallout, r.flying[readyCallout], "reset")
	r.said(t, "reset")
	if r.bad != 6 || r.Record.Draining {
		t.Errorf("reset: %d failed, draining %v", r.bad, r.Record.Draining)
	}
}

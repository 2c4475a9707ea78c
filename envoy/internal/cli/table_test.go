package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
)

// What comes from an Envoy, a reason for one, can't steer the terminal, and columns stay aligned.
func TestWriteReport(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	yes, no, age, latency := true, false, int64(312), int64(3)
	var out strings.Builder
	for _, r := range []report.Report{
		{Envoy: "a:1", Error: "refused\x1b[31m"},
		{Envoy: "a:1", Node: "n", State: "LIVE"},
		{
			Envoy: "a:1", Node: "n-1", Zone: "z", State: "LIVE", Draining: &no, SnapshotAgeMS: &age, Notes: []string{"a note"},
			Endpoints: []report.Endpoint{
				{Name: "shöp", Verdict: "maintenance", HTTPStatus: 503, Unsure: []string{"a gap"}, NotEverywhere: true,
					Maintenance: &report.Maintenance{Key: "k", Value: "v", Reason: "dïsk\n\x1b[2J", Until: at(30 * time.Minute)}},
				{Name: "b", Verdict: "unhealthy", HTTPStatus: 500, Output: "p (500) failing"},
				{Name: "long-name", Verdict: "passed", Listener: "l", Unsure: []string{"a doubt"}},
				{Name: "c", Unsure: []string{"a doubt"}},
			},
			Probes: []report.Probe{
				{Name: "p", Healthy: &no, Since: at(-time.Hour), Status: 500, LatencyMS: &latency, LastAsked: at(0)},
				{Name: "q", Healthy: &yes},
				{Name: "r"},
				{Name: "s", Healthy: &no, Outcome: "timeout", LastAsked: at(0)},
				{Name: "t", Healthy: &no},
			},
		},
	} {
		writeReport(&out, &r, now)
	}
	want, err := os.ReadFile("testdata/report.txt")
	if got := out.String(); err != nil || got != string(want) {
		t.Errorf("%v, got\n%s", err, got)
	}
}

// What an operator wanted is amber, an outage red, and neither is green.
func TestColours(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[string]cell{
		"healthy": {"healthy", green}, "passed": {"passed to the application", ""}, "": {"not known", ""},
		"degraded":    {"degraded", yellow},
		"maintenance": {"in maintenance or draining", yellow}, "draining": {"in maintenance or draining", yellow},
		"unhealthy": {"failing", red}, "unknown": {"failing", red}, "failing": {"failing", red},
	} {
		want.text = "1 of 1 health checks " + want.text
		r := &report.Report{Endpoints: []report.Endpoint{{Verdict: verdict}}}
		if got := summary(r); len(got) != 1 || got[0] != want || endpointRows(r, time.Time{})[1][1].colour != want.colour {
			t.Errorf("%q: %q, want %q", verdict, got, want)
		}
	}
}

// JSON says the same, without a character that steers a terminal.
func TestWriteJSON(t *testing.T) {
	t.Parallel()
	said := map[string]string{"a é": "\x1b[2J\x7f\u009b1m\u202e\u2028\U000e0001 日本 <b>\n"}
	var out strings.Builder
	must.Do(t, writeJSON(&out, said, " "))
	const want = "{\n \"a é\": \"" + `\u001b[2J\u007f\u009b1m\u202e\u2028\udb40\udc01 日本 \u003cb\u003e\n` + "\"\n}\n"
	var back map[string]string
	must.Do(t, json.Unmarshal([]byte(out.String()), &back))
	if out.String() != want || !maps.Equal(said, back) {
		t.Errorf("%s, want %s", out.String(), want)
	}
}

// What a text on standard error holds steers no terminal and forges no line, but for the colours of the command.
func TestTold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "told")
	for text, want := range map[string]string{
		"error: a\tb é\n":                         "error: a\tb é\n",
		"\x1b[31merror:\x1b[0m a\x1b[2J\x07\n":    "\x1b[31merror:\x1b[0m a\\x1b[2J\\a\n",
		"a\x1b[31mred\n":                          "a\\x1b[31mred\n",
		"a\rb\u009b1m\u202e\xff":                  `a\rb\u009b1m\u202e` + "\ufffd",
		"\x1b[31mb\rad\x1b[0m \x1b[1mgo\x1b[0mod": `\x1b[31mb\rad\x1b[0m ` + "\x1b[1mgo\x1b[0mod",
	} {
		to := must.Get(os.Create(file))(t)
		n, err := told{to}.Write([]byte(text))
		must.Do(t, errors.Join(err, to.Close()))
		if got := string(must.Get(os.ReadFile(file))(t)); got != want || n != len(text) {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
}

// Without --admin that Envoy is asked which render makes, unless another place is given.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	rtds, url := filepath.Join(t.TempDir(), "rtds.yaml"), "http://127.0.0.1:1/status"
	for command, want := range map[string]string{
		"status": render.DefaultAdmin, "maintenance status": render.DefaultAdmin, "status --status-url " + url: url,
		"maintenance on --rtds-file " + rtds: "",
	} {
		out, stderr, _ := call(t, append(strings.Fields(command), "-o", "json")...)
		var asked []struct{ Envoy string }
		err := json.Unmarshal([]byte(out), &asked)
		if got := fmt.Sprint(asked); err != nil || got != map[bool]string{true: "[{" + want + "}]", false: "[]"}[want != ""] {
			t.Errorf("%s: %v, %s%s", command, err, out, stderr)
		}
	}
}

// Where the kind of layer that is written to is missing, the row says what is so, and nothing is written.
func TestNoSuchLayer(t *testing.T) {
	t.Parallel()
	file, a := filepath.Join(t.TempDir(), "rtds.yaml"), admintest.Start(t)
	out := says(t, 1, "maintenance on --rtds-file "+file+" --admin "+a.URL, "error: "+a.URL+
		`: its runtime has no rtds layer, only "admin" (admin): add one, or write to another kind`)
	if row := strings.Fields(out)[8:]; strings.Join(row, " ") != a.URL+" off - - - -" {
		t.Error(row)
	}
	never := "http://127.0.0.1:1"
	says(t, 1, "maintenance on --dry-run --rtds-file "+file+" --admin "+a.URL+" --admin "+never,
		"wait up to 10s until "+never, "error: "+a.URL+": its runtime has no rtds layer",
		"error: "+never+": connection refused")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

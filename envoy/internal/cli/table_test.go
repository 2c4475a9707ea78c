package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
)

// What comes from an Envoy, a reason for one, can't steer the terminal, and columns stay aligned.
func TestWriteReport(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	yes, no, age, latency := true, false, int64(312), int64(3)
	for _, test := range []struct {
		report report.Report
		want   string
	}{
		{report.Report{Envoy: "a:1", Error: "refused\x1b[31m"}, "a:1  refused?[31m\n\n"},
		{report.Report{Envoy: "a:1", Node: "n", State: "LIVE"}, "a:1  no health check is known  n  LIVE  draining not known\n\n"},
		{report.Report{
			Envoy: "a:1", Node: "n-1", Zone: "z", State: "LIVE", Draining: &no, SnapshotAgeMS: &age, Notes: []string{"a note"},
			Endpoints: []report.Endpoint{
				{Name: "shöp", Verdict: "maintenance", HTTPStatus: 503,
					Maintenance: &report.Maintenance{Key: "k", Value: "v", Reason: "dïsk\n\x1b[2J", Until: at(30 * time.Minute)}},
				{Name: "b", Verdict: "unhealthy", HTTPStatus: 500, Output: "p (500) failing"},
				{Name: "long-name", Verdict: "passed", Listener: "l"},
				{Name: "c", Unsure: []string{"a gap"}},
			},
			Probes: []report.Probe{
				{Name: "p", Healthy: &no, Since: at(-time.Hour), Status: 500, LatencyMS: &latency, LastAsked: at(0)},
				{Name: "q", Healthy: &yes},
				{Name: "r"},
				{Name: "s", Healthy: &no, Outcome: "timeout", LastAsked: at(0)},
				{Name: "t", Healthy: &no},
			},
		}, `a:1  1 of 4 health checks failing  1 of 4 health checks not known  1 of 4 health checks in maintenance or draining  not for sure, see the notes  n-1  zone z  LIVE  not draining  record 312ms old
  ENDPOINT       CHECKS GET       WHY
  shöp           503 maintenance  k until 2026-11-21T12:30:00Z (in 30m0s): dïsk??[2J
  b              500 unhealthy    p (500) failing
  long-name (l)  passed           -
  c              not known        -
  PROBE  STATE      SINCE                              LAST STATUS  LATENCY  LAST ASKED
  p      unhealthy  2026-11-21T11:00:00Z (1h0m0s ago)  500          3ms      2026-11-21T12:00:00Z (now)
  q      healthy    -                                  -            -        -
  r      not known  -                                  -            -        -
  s      unhealthy  -                                  timeout      -        2026-11-21T12:00:00Z (now)
  t      not up     -                                  -            -        -
  note: a note

`},
	} {
		var out strings.Builder
		if err := writeReport(&out, &test.report, now); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

// What an operator wanted is amber, an outage red, and neither is green.
func TestColours(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[string]cell{
		"healthy": {"1 of 1 health checks healthy", green}, "passed": {"1 of 1 health checks healthy", green},
		"maintenance": {"1 of 1 health checks in maintenance or draining", yellow}, "draining": {"1 of 1 health checks in maintenance or draining", yellow},
		"unhealthy": {"1 of 1 health checks failing", red}, "unknown": {"1 of 1 health checks failing", red}, "failing": {"1 of 1 health checks failing", red},
		"": {"1 of 1 health checks not known", ""},
	} {
		r := &report.Report{Endpoints: []report.Endpoint{{Verdict: verdict}}}
		if got := summary(r); len(got) != 1 || got[0] != want || endpointRows(r, time.Time{})[1][1].colour != want.colour {
			t.Errorf("%q: %q, want %q", verdict, got, want)
		}
	}
}

package latency

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
)

// series is what came of the checks that one filter got.
type series struct {
	took       []float64 // milliseconds, from when a check was due until it was answered
	slowest    float64
	at         time.Duration // when the slowest was due
	bySecond   []float64     // the slowest of those due in each second
	other      int           // answered, but not with 200: on a machine so busy that probes time out, a check rightly fails
	unanswered int
	failure    string // of one that was not answered
}

func (s *series) add(due, took time.Duration, code uint16, failure string) {
	if code == 0 {
		s.unanswered++
		s.failure = failure
		return
	}
	if code != http.StatusOK {
		s.other++
	}
	ms := float64(took) / float64(time.Millisecond)
	s.took = append(s.took, ms)
	if ms > s.slowest {
		s.slowest, s.at = ms, due
	}
	second := int(due / time.Second)
	for len(s.bySecond) <= second {
		s.bySecond = append(s.bySecond, 0)
	}
	s.bySecond[second] = max(s.bySecond[second], ms)
}

// around returns the slowest that was due in the second of a moment, or in one beside it.
func (s *series) around(at time.Duration) float64 {
	second := int(at / time.Second)
	near := s.bySecond[min(max(0, second-1), len(s.bySecond)):min(second+2, len(s.bySecond))]
	if len(near) == 0 {
		return 0
	}
	return slices.Max(near)
}

func tabulate(rows []*peers.Peer, of map[string]*series, checks int) report.Table {
	t := report.Table{
		ID: "latency", Title: "Latency at a steady rate",
		About: fmt.Sprintf("Each filter gets %s health checks at %s a second, in an open loop by vegeta, through %d connections. All get "+
			"them at the same time, by turns, in one Envoy with one worker, so that what holds up the machine holds up all. A check's time "+
			"runs from when it was due, whether or not it could be sent then. \"At\" is when the slowest was due, after the beginning; the next "+
			"column is the slowest of the `health_check` filter within a second of it, which tells the machine's doing from the "+
			"filter's. The last is how much slower the slowest is than the `health_check` filter's in the whole run.",
			report.Number(float64(checks), 0), report.Number(rate, 0), connections),
		Columns: []report.Column{
			{ID: "checks", Title: "answered"},
			{ID: "other", Title: "not 200"},
			{ID: "p50", Title: "median, ms", Decimals: 2},
			{ID: "p99", Title: "99 %", Decimals: 2},
			{ID: "p999", Title: "99.9 %", Decimals: 2},
			{ID: "p9999", Title: "99.99 %", Decimals: 2},
			{ID: "max", Title: "slowest", Decimals: 1},
			{ID: "at", Title: "at, s", Decimals: 1},
			{ID: "then", Title: "`health_check` then, ms", Decimals: 1},
			{ID: "more", Title: "slower by", Decimals: 1},
		},
	}
	native := of[base]
	for _, p := range rows {
		row := report.Row{Name: p.Name, Ours: p.Ours, Missing: p.Missing}
		if s := of[p.Name]; s != nil && len(s.took) > 0 {
			slices.Sort(s.took)
			row.Cells = map[string]report.Cell{
				"checks": {Value: float64(len(s.took))},
				"other":  {Value: float64(s.other)},
				"p50":    {Value: stats.Percentile(s.took, 50)},
				"p99":    {Value: stats.Percentile(s.took, 99)},
				"p999":   {Value: stats.Percentile(s.took, 99.9)},
				"p9999":  {Value: stats.Percentile(s.took, 99.99)},
				"max":    {Value: s.slowest},
				"at":     {Value: s.at.Seconds()},
			}
			if native != nil && p.Name != base {
				row.Cells["then"] = report.Cell{Value: native.around(s.at)}
				row.Cells["more"] = report.Cell{Value: s.slowest - native.slowest}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

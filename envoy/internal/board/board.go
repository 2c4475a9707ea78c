// Package board shows a whole fleet: a page for people and metrics for Prometheus.
package board

import (
	"slices"
	"sync"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
)

// patience is how long after its time an answer is waited for. What was known before is shown no more then.
const patience = 15 * time.Second

// Board keeps the last report of each Envoy.
type Board struct {
	interval time.Duration

	mu    sync.Mutex
	lines []line
}

// line is one Envoy.
type line struct {
	report.Report
	asked time.Time // zero: not yet
}

// New returns a board of Envoys that are asked again and again.
func New(envoys []string, interval time.Duration) *Board {
	b := &Board{interval: interval}
	for _, envoy := range envoys {
		b.lines = append(b.lines, line{Report: report.Report{Envoy: envoy}})
	}
	return b
}

// Put takes what the Envoy of an index says, which was asked at that time.
func (b *Board) Put(i int, r report.Report, asked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines[i] = line{r, asked}
}

// seen returns what is known of each Envoy. An old report is none.
func (b *Board) seen(now time.Time) []line {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, met := make([]line, len(b.lines)), report.Met{}
	for i, l := range b.lines {
		if age := now.Sub(l.asked); !l.asked.IsZero() && l.Error == "" && age > b.interval+patience {
			l.Report = report.Report{Envoy: l.Envoy, Error: "nothing heard for " + age.Round(time.Second).String()}
		}
		if again := met.Again(l.Process, l.Envoy); again != "" {
			l.Notes = append(slices.Clone(l.Notes), again)
		}
		out[i] = l
	}
	return out
}

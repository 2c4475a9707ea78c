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

	mu     sync.Mutex
	envoys []string
	said   map[string]line
	stale  string // why the list of Envoys is one of before; empty: it is not
}

// line is one Envoy.
type line struct {
	report.Report
	asked time.Time // zero: not yet
}

// New returns a board of Envoys that are asked again and again.
func New(interval time.Duration) *Board { return &Board{interval: interval} }

// List takes the Envoys that are shown from now on. What the others said is gone.
func (b *Board) List(envoys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.said
	b.envoys, b.said, b.stale = envoys, map[string]line{}, ""
	for _, envoy := range envoys {
		l, known := before[envoy]
		if !known {
			l.Envoy = envoy
		}
		b.said[envoy] = l
	}
}

// Stale takes why it is not known which Envoys there are: those of before stay.
func (b *Board) Stale(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale = why
}

// Put takes what an Envoy says that was asked at that time.
func (b *Board) Put(r report.Report, asked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, listed := b.said[r.Envoy]; listed {
		b.said[r.Envoy] = line{r, asked}
	}
}

// seen returns what is known of each Envoy, and why that list is one of before. An old report is none.
func (b *Board) seen(now time.Time) (envoys []line, stale string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, met := make([]line, len(b.envoys)), report.Met{}
	for i, envoy := range b.envoys {
		l := b.said[envoy]
		if age := now.Sub(l.asked); !l.asked.IsZero() && l.Error == "" && age > b.interval+patience {
			l.Report = report.Report{Envoy: l.Envoy, Error: "nothing heard for " + age.Round(time.Second).String()}
		}
		if again := met.Again(l.Process, l.Envoy); again != "" {
			l.Notes = append(slices.Clone(l.Notes), again)
		}
		out[i] = l
	}
	return out, b.stale
}

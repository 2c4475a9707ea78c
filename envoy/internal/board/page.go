package board

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
)

//go:embed page.html
var text string

var page = template.Must(template.New("page").Parse(text))

// Handler answers GET / with the page and GET /metrics with metrics, and nothing else.
func (b *Board) Handler(now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		head(w, "text/html; charset=utf-8")
		_ = page.Execute(w, b.view(now(), r.URL.Query().Has("paused"))) // who asked may have gone
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		head(w, "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(metrics(b.seen(now())))
	})
	return mux
}

func head(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "+
		"base-uri 'none'; form-action 'none'")
}

// view is what the page shows.
type view struct {
	Counts, Class, Now string
	Stale              string
	Paused             bool
	Every              int // seconds
	Rows               []row
}

// row is one Envoy on the page.
type row struct {
	report.Report
	Life        string // Envoy's state
	Age, Record string // of what the Envoy said, and of the plugin's record at that time
	Checks      []item
	Up, All     int    // of its probes
	Down        []item // the others
}

// item is a health check or a probe.
type item struct{ Class, Name, State, Why string }

var colours = [report.Classes]string{report.Failing: "fail", report.Unasked: "fail", report.NotKnown: "warn",
	report.Planned: "warn", report.Degraded: "warn", report.Passed: "warn", report.Healthy: "pass"}

// view makes the page: the worst first, and else in the order in which the Envoys were given.
func (b *Board) view(now time.Time, paused bool) view {
	lines, stale := b.seen(now)
	slices.SortStableFunc(lines, func(x, y line) int { return cmp.Compare(x.Class(), y.Class()) })
	v := view{Stale: stale, Paused: paused, Every: max(1, int(b.interval.Seconds())), Now: now.UTC().Format(time.RFC3339),
		Class: colours[report.Healthy]}
	var count [report.Classes]int
	for i := range lines {
		l := &lines[i]
		is := l.Class()
		count[is]++
		if i == 0 {
			v.Class = colours[is]
		}
		v.Rows = append(v.Rows, l.row(now))
	}
	var counts []string
	for is, n := range count {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, report.Class(is)))
		}
	}
	v.Counts = strings.Join(counts, ", ")
	if stale != "" {
		v.Counts += ", of an old list"
		if v.Class == colours[report.Healthy] {
			v.Class = colours[report.NotKnown]
		}
	}
	return v
}

func (l *line) row(now time.Time) row {
	r := row{Report: l.Report, All: len(l.Probes)}
	switch {
	case l.asked.IsZero():
		r.Checks = []item{{Class: colours[l.Class()], State: "not asked yet"}}
	case l.Error != "":
	case l.Draining == nil:
		r.Life = l.State + ", draining not known"
	case *l.Draining:
		r.Life = l.State + ", draining"
	default:
		r.Life = l.State
	}
	if !l.asked.IsZero() {
		r.Age = now.Sub(l.asked).Round(time.Second).String() + " ago"
	}
	if l.SnapshotAgeMS != nil {
		r.Record = (time.Duration(*l.SnapshotAgeMS) * time.Millisecond).String() + " old"
	}
	for i := range l.Endpoints {
		e := &l.Endpoints[i]
		r.Checks = append(r.Checks, item{colours[e.Class()], report.Named(e.Name, e.Listener), e.Gets(), e.Why(now)})
	}
	for i := range l.Probes {
		p := &l.Probes[i]
		if p.Healthy != nil && *p.Healthy {
			r.Up++
			continue
		}
		down := item{Class: colours[report.NotKnown], Name: report.Named(p.Name, p.Listener), State: p.State(), Why: p.Last()}
		if p.Healthy != nil {
			down.Class = colours[report.Failing]
		}
		if p.Since != nil {
			down.Why = strings.TrimPrefix(down.Why+", since "+report.Moment(p.Since, now), ", ")
		}
		r.Down = append(r.Down, down)
	}
	return r
}

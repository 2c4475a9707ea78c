package conformance

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// journal is what an Envoy that runs many cases has written, sorted by case.
type journal struct {
	envoy *envoytest.Envoy
	began time.Time // when it was ready

	mu    sync.Mutex
	read  time.Time
	asked time.Time // for the metrics
	lines int       // of the log that are sorted already
	log   map[string][]*logLine
	last  *logLine // takes the lines that continue it
	// mainThread is the number of the thread that logged first.
	mainThread string
	access     map[string][]string
	metrics    []string
	refused    map[string]bool
	dead       bool
}

// gone reports whether the Envoy has ended.
func (j *journal) gone() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dead
}

// fresh is how old the journal may be that a condition looks at: to read it costs more the longer it is.
const fresh = 25 * time.Millisecond

var (
	anyLine    = regexp.MustCompile(`^\[\d{4}-[^\]]*\]\[(\d+)\]\[(\w+)\]\[(\w+)\] \[[^\]]*\] ?(.*)$`)
	pluginLine = regexp.MustCompile(`^wasm log (\w+)(?: \w+){0,2}: ?(.*)$`)
	refusal    = regexp.MustCompile(`(\w+)` + separator + `\d+: Unable to create Wasm`)
)

func (j *journal) update() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.read) < fresh {
		return
	}
	j.readLog(j.envoy.Log.Lines())
	j.access = map[string][]string{}
	for _, line := range j.envoy.AccessLog.Lines() {
		parts := strings.SplitN(line, "|", 5)
		if len(parts) == 5 && parts[1] == "-" {
			j.access[parts[0]] = append(j.access[parts[0]], details(parts[2], parts[3], strings.TrimPrefix(parts[4], "-")))
		}
	}
	if time.Since(j.asked) > 4*fresh {
		j.metrics = nil
		stats, err := j.envoy.Admin.Stats(context.Background(), "wasmcustom")
		j.dead = err != nil
		for name, value := range stats {
			j.metrics = append(j.metrics, metric(strings.TrimPrefix(name, "wasmcustom."), value))
		}
		j.asked = time.Now()
	}
	j.read = time.Now()
}

// readLog sorts what is new in Envoy's log by plugin. A message may have several lines.
func (j *journal) readLog(lines []string) {
	if j.log == nil {
		j.log, j.refused = map[string][]*logLine{}, map[string]bool{}
	}
	for _, line := range lines[j.lines:] {
		if r := refusal.FindStringSubmatch(line); r != nil {
			j.refused[r[1]] = true
		}
		m := anyLine.FindStringSubmatch(line)
		if m == nil {
			if j.last != nil {
				j.last.message += "\n" + line
			}
			continue
		}
		if j.mainThread == "" {
			j.mainThread = m[1]
		}
		j.last = nil
		p := pluginLine.FindStringSubmatch(m[4])
		if m[3] != "wasm" || p == nil {
			continue
		}
		thread := "worker"
		if m[1] == j.mainThread {
			thread = "main"
		}
		slug, message := from(p[1], p[2])
		j.last = &logLine{thread, m[2], message}
		j.log[slug] = append(j.log[slug], j.last)
	}
	j.lines = len(lines)
}

// fill sets what the journal knows of a case.
func (j *journal) fill(r *result, c *Case) {
	slug := c.slug()
	j.update()
	j.mu.Lock()
	defer j.mu.Unlock()
	r.log = nil
	for _, l := range j.log[slug] {
		r.log = append(r.log, logLine{l.thread, l.level, trimEnds(l.message)})
	}
	r.details = append([]string(nil), j.access[slug]...)
	r.metrics = nil
	for _, line := range j.metrics {
		if strings.HasPrefix(line, c.metrics()) {
			r.metrics = append(r.metrics, line)
		}
	}
	r.refused = j.refused[slug]
}

// count is how many messages of the case have the text.
func (j *journal) count(slug, text string) int {
	j.update()
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, l := range j.log[slug] {
		if strings.Contains(l.message, text) {
			n++
		}
	}
	return n
}

// ready waits for an Envoy that sets up a plugin for each of hundreds of listeners.
func (j *journal) ready(t testing.TB) {
	t.Helper()
	j.envoy.WaitReady()
	j.began = time.Now()
}

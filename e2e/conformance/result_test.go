package conformance

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// result is what a run of a case showed.
type result struct {
	refused bool // the configuration was
	crashed bool // the process has ended by itself, and nothing else counts
	replies []clientReply
	details []string // the access log: status, response flags and response code details
	app     []seen
	backend []seen
	log     []logLine
	metrics []string // "name: value"
}

// clientReply is what the client got.
type clientReply struct {
	status  int
	header  [][2]string
	body    string
	trailer [][2]string
	reset   bool
}

// seen is a request as an upstream saw it.
type seen struct {
	line    string
	header  [][2]string
	body    string
	trailer [][2]string
}

// logLine is one message of the plugin's.
type logLine struct {
	thread  string // "main" or "worker"
	level   string
	message string
}

// theEnd is all that is compared if Envoy's process ends.
const theEnd = "the process ends"

// lines is the result as text, to be compared line by line.
func (r *result) lines(c *Case) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.crashed {
		return []string{theEnd}
	}
	if r.refused {
		add("the configuration is refused")
	}
	for i, c := range r.replies {
		what := fmt.Sprintf("reply %d", i+1)
		add("%s: %d", what, c.status)
		fields(add, what, c.header)
		add("%s body: %s", what, clip(c.body))
		for _, f := range c.trailer {
			add("%s trailer: %s: %s", what, f[0], f[1])
		}
		if c.reset {
			add("%s is cut off", what)
		}
	}
	for i, d := range r.details {
		add("access log %d: %s", i+1, d)
	}
	upstream(add, "application", r.app)
	upstream(add, "backend", r.backend)
	for _, thread := range []string{"main", "worker"} {
		for _, l := range r.log {
			if l.thread == thread {
				add("%s log: [%s] %s", thread, l.level, l.message)
			}
		}
	}
	sort.Strings(r.metrics)
	for _, m := range r.metrics {
		add("metric: %s", m)
	}
	for i, line := range out {
		out[i] = normal(line, c.slug(), !c.Alone)
	}
	return out
}

// once leaves the first of what comes again and again, and forgets the threads and which probe came first.
func (r *result) once() {
	r.app, r.backend = distinct(r.app), distinct(r.backend)
	slices.SortFunc(r.backend, func(a, b seen) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for i := range r.log {
		r.log[i].thread = "worker"
	}
	r.log = distinct(r.log)
}

// distinct drops what would be a line a second time.
func distinct[T any](all []T) (kept []T) {
	seen := map[string]bool{}
	for _, one := range all {
		if text := normal(fmt.Sprint(one), "", true); !seen[text] {
			seen[text] = true
			kept = append(kept, one)
		}
	}
	return kept
}

func upstream(add func(string, ...any), name string, requests []seen) {
	for i, r := range requests {
		what := fmt.Sprintf("%s %d", name, i+1)
		add("%s: %s", what, strings.TrimSpace(r.line))
		fields(add, what, r.header)
		add("%s body: %s", what, clip(r.body))
		for _, f := range r.trailer {
			add("%s trailer: %s: %s", what, f[0], f[1])
		}
	}
}

// framing says how a message is cut into bytes on one connection: it is no part of what went through the filter chain.
var framing = map[string]bool{"transfer-encoding": true, "connection": true}

func fields(add func(string, ...any), what string, header [][2]string) {
	for _, f := range header {
		if !framing[f[0]] {
			add("%s: %s: %s", what, f[0], f[1])
		}
	}
}

// clip shortens a body that is long.
func clip(body string) string {
	if len(body) <= 400 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%q… (%d bytes)", body[:100], len(body))
}

func trimEnds(s string) string { return strings.Trim(s, "\n") }

// rule replaces what differs from run to run.
type rule struct {
	pattern *regexp.Regexp
	with    string
}

// rules replace what differs from run to run, clocks, ids and ports, on either side.
var rules = []rule{
	{regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), "DATE"},
	{regexp.MustCompile(`(x-envoy-upstream-service-time)([:=]) ?\d+`), "$1${2}MS"},
	{regexp.MustCompile(`(x-envoy-upstream-service-time" = 0) "\d+"`), `$1 "MS"`},
	// That time is in the size, too, with as many digits as it has.
	{regexp.MustCompile(`(get_header_map_size [26] = 0) \d{3}$`), "$1 BYTES"},
	{regexp.MustCompile(`(get_current_time_nanoseconds = 0) \d{19}$`), "$1 NANOSECONDS"},
	// What a retry has left of 15 s and of 1 s. It may come within the same millisecond.
	{regexp.MustCompile(`(x-envoy-expected-rq-timeout-ms: )(?:14\d{3}|[6-9]\d{2})$`), "${1}REST"},
	{regexp.MustCompile(`( [2-9]: x-envoy-expected-rq-timeout-ms: )\d+$`), "${1}REST"},
	{regexp.MustCompile(`0x[0-9a-f]+`), "0xADDRESS"},
	{regexp.MustCompile(`(application)-CASE`), "$1"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`(It's) \d{19}: random value: \d+`), "$1 NANOSECONDS: random value: N"},
	{regexp.MustCompile(`It's \d{4}-.* UTC, your lucky number is \d+`), "It's NOW, your lucky number is N"},
}

// sharedRules replace the numbers that count over a whole Envoy, if that runs many cases.
var sharedRules = []rule{
	{regexp.MustCompile(`(get_shared_data .* = 0 ".*"(?: null)?) \d+$`), "$1 CAS"},
	{regexp.MustCompile(`((?:register|resolve)_shared_queue .* = 0) \d+$`), "$1 QUEUE"},
	{regexp.MustCompile(`(queue_ready\(\d+) \d+\)$`), "$1 QUEUE)"},
}

func normal(line, slug string, shared bool) string {
	if slug != "" {
		line = strings.ReplaceAll(line, slug, "CASE")
	}
	for _, r := range rules {
		line = r.pattern.ReplaceAllString(line, r.with)
	}
	if !shared {
		return line
	}
	for _, r := range sharedRules {
		line = r.pattern.ReplaceAllString(line, r.with)
	}
	return line
}

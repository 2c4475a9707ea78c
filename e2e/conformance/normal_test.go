package conformance

import (
	"regexp"
	"strings"
)

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

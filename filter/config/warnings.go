package config

import (
	"strings"

	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/trust"
)

// busy is for how long an update of a configuration with thousands of clusters keeps Envoy's main thread, and with it
// the admin endpoint, from answering: https://github.com/envoyproxy/envoy/issues/36295.
const busy = 10 * duration.Second

// tooShort is for a max_age that such an update outlasts: the last reading before may be an interval old, and the next
// one after waits its turn, or the pause that missed polls of runtime are followed by.
func tooShort(a *Admin) (what string) {
	least := busy + a.Interval + max(a.Interval, 2*max(a.Timeout, DefaultAdminTimeout))
	if !a.FailOnStale || a.MaxAge >= least {
		return ""
	}
	return " with on_stale: fail makes every check fail when Envoy's main thread is busy for 10 s, as with an update of " +
		"thousands of clusters: give " + duration.Text(least) + " or more"
}

// maxWarnings bounds what a configuration with the same slip in each line fills the log with.
const maxWarnings = 32

// warn adds a warning about a text of the configuration; an empty what adds nothing.
func (c *Config) warn(place, text, what string) {
	if what != "" && len(c.Warnings) < maxWarnings {
		c.Warnings = append(c.Warnings, Error{Place: place, What: quote(text) + what})
	}
}

// warnEach is warn for each item of a list; check says what is wrong with one.
func (c *Config) warnEach(place string, items []string, check func(string) (what string)) {
	for i, s := range items {
		if what := check(s); what != "" {
			c.warn(index(place, i), s, what)
		}
	}
}

// The functions below say why no request has what a configuration demands, although the reader takes it; "" if some
// may.

func neverPath(s string) (what string) {
	if hasAny(s, `*{}[]()|^$\`) {
		return " is no pattern: paths are compared byte for byte"
	}
	return ""
}

func neverMethod(s string) (what string) {
	if hasAny(s, "abcdefghijklmnopqrstuvwxyz") {
		return " is no method: they are in capital letters, and case matters"
	}
	return ""
}

func neverHost(s string) (what string) {
	name := s
	if colon := strings.LastIndexByte(s, ':'); colon > strings.LastIndexByte(s, ']') {
		name = s[:colon]
		if port, ok := ascii.Number(s[colon+1:]); !ok || port == 0 || port > 0xffff {
			name = ""
		}
	}
	last := len(name) - 1
	switch {
	case last < 0 || name[0] == '.' || name[last] == '.':
	case name[0] != '[' && consistsOf(name, "-._~"):
		return ""
	case name[0] == '[' && name[last] == ']' && strings.IndexByte(name, ':') > 0:
		if _, ok := trust.ParseCIDR(name[1:last]); ok {
			return ""
		}
	}
	return ` is no host as clients name one: "example.com", "example.com:8080", "[::1]"`
}

// neverHeader is for a matcher that demands a header, and not its absence.
func neverHeader(m *HeaderMatcher) (text, what string) {
	switch m.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding":
		return m.Name, " is taken away by Envoy before a filter sees the request"
	}
	s := m.Value
	if m.Kind == Prefix || m.Kind == Contains { // something may follow
		s += "|"
	}
	if m.Kind == Suffix || m.Kind == Contains {
		s = "|" + s
	}
	if ascii.TrimSpace(s) != s || checkFieldValue(s) != "" {
		return m.Value, " is in no header's value: those have no control characters, and no blanks around them"
	}
	return "", ""
}

package status

import (
	"strconv"
	"unicode/utf8"

	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lean/rfc3339"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// age writes a length of time in nanoseconds as people say it, in its two largest units.
func age(ns int64) string {
	s := ns / int64(duration.Second)
	number := func(n int64, unit string) string { return strconv.FormatInt(n, 10) + " " + unit }
	switch {
	case s < 1:
		return number(max(ns, 0)/int64(duration.Millisecond), "ms")
	case s < 60:
		return number(s, "s")
	case s < 3600:
		return number(s/60, "min") + " " + number(s%60, "s")
	case s < 24*3600:
		return number(s/3600, "h") + " " + number(s/60%60, "min")
	}
	return number(s/(24*3600), "d") + " " + number(s/3600%24, "h")
}

// timestamp writes Unix nanoseconds as an RFC 3339 time in UTC.
func timestamp(ns int64) string { return rfc3339.Format(ns / int64(duration.Second)) }

// found is what a request found: the status behind a prefix if something answered, else the outcome in the words of
// docs/status.md.
func found(f *snapshot.Finding, prefix string) string {
	switch o := f.Outcome; {
	case o == snapshot.GRPCError:
		prefix = "grpc-status "
	case o != snapshot.Answered && o != snapshot.Unreadable:
		if int(o) >= len(words) {
			o = snapshot.Unreachable // another plugin wrote it
		}
		return words[o]
	}
	return prefix + strconv.Itoa(int(f.Status))
}

var words = [...]string{"none", "", "timeout", "no response", "reset", "no cluster", "no host", "refused", "unanswered",
	"no connection", "", "NOT_SERVING", "no gRPC state"}

// steers reports whether a character is a control, or turns the direction of the text around it: it would let a reason
// disturb the page or a terminal.
func steers(c rune) bool {
	return c < ' ' || 0x7f <= c && c < 0xa0 || 0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069
}

// appendEscaped appends s with some characters replaced: those that replace knows, and by U+FFFD what is not UTF-8. The
// texts of runtime keys are cut at a number of bytes, so they may end within a character.
func appendEscaped(b []byte, s string, replace func(c rune) string) []byte {
	for _, c := range s { // what is not UTF-8 comes as U+FFFD
		if r := replace(c); r != "" {
			b = append(b, r...)
		} else {
			b = utf8.AppendRune(b, c)
		}
	}
	return b
}

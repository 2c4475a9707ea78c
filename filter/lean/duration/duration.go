// Package duration is what the plugin needs of package time for lengths of time. Natively a Duration is a
// time.Duration, so that tests and the command-line tools need not know.
package duration

import "strconv"

// Units of durations.
const (
	Nanosecond  Duration = 1
	Microsecond          = 1000 * Nanosecond
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
	Minute               = 60 * Second
	Hour                 = 60 * Minute
)

// Parse reads what time.ParseDuration reads: "1.5h", "-1m30s", "500ms".
func Parse(s string) (Duration, bool) {
	negative := s != "" && s[0] == '-'
	if negative || s != "" && s[0] == '+' {
		s = s[1:]
	}
	if s == "0" {
		return 0, true
	}
	if s == "" {
		return 0, false
	}
	const limit = 1 << 63 // of a negative one; the largest positive one is 1 less
	total := uint64(0)
	for s != "" {
		whole, digits, ok := leading(s)
		if !ok {
			return 0, false
		}
		s = s[digits:]
		fraction, scale := uint64(0), 1.0
		if s != "" && s[0] == '.' {
			s = s[1:]
			n := 0
			for exact := true; n < len(s) && isDigit(s[n]); n++ { // what is too small to tell is dropped
				if exact = exact && fraction <= (limit-1)/10 && fraction*10+uint64(s[n]-'0') <= limit; exact {
					fraction, scale = fraction*10+uint64(s[n]-'0'), scale*10
				}
			}
			digits += n
			s = s[n:]
		}
		if digits == 0 {
			return 0, false
		}
		name := 0
		for name < len(s) && s[name] != '.' && !isDigit(s[name]) {
			name++
		}
		unit := uint64(unitOf(s[:name]))
		if unit == 0 || whole > limit/unit {
			return 0, false
		}
		s = s[name:]
		part := whole*unit + uint64(float64(fraction)*(float64(unit)/scale))
		if total += part; part > limit || total > limit {
			return 0, false
		}
	}
	if negative {
		return -Duration(total), true
	}
	return Duration(total), total < limit
}

// leading reads the digits at the start.
func leading(s string) (n uint64, digits int, ok bool) {
	for ; digits < len(s) && isDigit(s[digits]); digits++ {
		if n > (1<<63)/10 {
			return 0, 0, false
		}
		if n = n*10 + uint64(s[digits]-'0'); n > 1<<63 {
			return 0, 0, false
		}
	}
	return n, digits, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func unitOf(name string) Duration {
	switch name {
	case "ns":
		return Nanosecond
	case "us", "µs", "μs": // U+00B5, the micro sign, and U+03BC, the Greek letter
		return Microsecond
	case "ms":
		return Millisecond
	case "s":
		return Second
	case "m":
		return Minute
	case "h":
		return Hour
	}
	return 0
}

// Text writes a duration of 0 or more as time.Duration's String does.
func Text(d Duration) string {
	if d < Second {
		switch {
		case d == 0:
			return "0s"
		case d < Microsecond:
			return decimal(d, 1) + "ns"
		case d < Millisecond:
			return decimal(d, Microsecond) + "µs"
		}
		return decimal(d, Millisecond) + "ms"
	}
	out := ""
	if d >= Hour {
		out = decimal(d/Hour, 1) + "h"
	}
	if d >= Minute {
		out += decimal(d/Minute%60, 1) + "m"
	}
	return out + decimal(d%Minute, Second) + "s"
}

// decimal writes n as a decimal number of units, a power of ten.
func decimal(n, unit Duration) string {
	b := strconv.AppendInt(nil, int64(n/unit), 10)
	if n %= unit; n == 0 {
		return string(b)
	}
	b = append(b, '.')
	for ; n != 0; n %= unit {
		unit /= 10
		b = append(b, byte('0'+n/unit))
	}
	return string(b)
}

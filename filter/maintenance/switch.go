// Package maintenance reads what operators say about maintenance: the value of a runtime key, Envoy's
// /runtime?format=json document, and route metadata.
package maintenance

import (
	"math"
	"strings"

	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lean/rfc3339"
)

// Switch is the meaning of a runtime key's value.
type Switch struct {
	On bool
	// Until, in Unix nanoseconds, ends an On that has an end; 0 means no end.
	Until int64
}

// Clock gives the wall-clock time.
type Clock interface {
	Wall() int64 // nanoseconds since 1970 in UTC
}

// Active reports whether the switch is on now. The clock is read only for a switch that has an end.
func (s Switch) Active(clock Clock) bool {
	return s.On && (s.Until == 0 || clock.Wall() < s.Until)
}

// ParseSwitch reads a runtime key's value: true, yes, on, a number or a fraction above 0 is on; false, no, off, 0 or
// nothing is off; an RFC 3339 time is on until then. Anything else is on with known false: whoever typed it wanted
// maintenance.
func ParseSwitch(value string) (s Switch, known bool) {
	value = ascii.Lower(unquote(value))
	switch value {
	case "true", "yes", "on":
		return Switch{On: true}, true
	case "", "false", "no", "off":
		return Switch{}, true
	}
	if positive, ok := number(value); ok {
		return Switch{On: positive}, true
	}
	if positive, ok := fraction(value); ok {
		return Switch{On: positive}, true
	}
	// RFC 3339 wants a capital T and Z, and its section 5.6 lets applications accept small ones.
	if seconds, nanoseconds, ok := rfc3339.Parse(ascii.Upper(value)); ok {
		return Switch{On: true, Until: until(seconds, nanoseconds)}, true
	}
	return Switch{On: true}, false
}

// unquote returns a value without the blanks and quotes around it: Envoy shows a file's "false" with its quotes. Blanks
// alone stay: Envoy shows one for each byte that is no UTF-8 (its Json::sanitize), so who knows what they were.
func unquote(value string) string {
	for {
		trimmed := ascii.TrimSpace(value)
		last := len(trimmed) - 1
		switch {
		case last < 0:
			return value
		case last == 0 || trimmed[0] != trimmed[last] || trimmed[0] != '"' && trimmed[0] != '\'':
			return trimmed
		}
		value = trimmed[1:last]
	}
}

// fraction reads a FractionalPercent as Envoy shows it, in lower case, and reports whether it is one and above 0. One
// that was written as text stays as it is, in JSON or YAML. One of a Struct becomes the text of protobuf's DebugString:
//
//	goo.gle/debugproto
//	fields { key: "numerator" value { number_value: 0 } }
//
// whose first line is not there before Envoy 1.40, which makes another one in each run: debugonly or debugstr, and some
// blanks. In all of them the names and values stand in the same order, and a numerator that is not there is 0, as in
// Envoy.
func fraction(s string) (positive, ok bool) {
	const marker = "goo.gle/debug"
	field, ok := "", s == "{}"
	if strings.HasPrefix(s, marker) && len(s) > len(marker) {
		_, s, _ = ascii.Cut(s, "\n")
		ok = true
	}
	for s != "" {
		end := 0
		for end < len(s) && strings.IndexByte(" \t\r\n{}:,\"'", s[end]) < 0 {
			end++
		}
		if end == 0 {
			s = s[1:]
			continue
		}
		switch word := s[:end]; word {
		case "fields", "key", "value", "number_value", "string_value":
		case "numerator", "denominator":
			if field != "" {
				return false, false
			}
			field, ok = word, true
		case "hundred", "ten_thousand", "million":
			if field != "denominator" {
				return false, false
			}
			field = ""
		default:
			above, isNumber := number(word)
			if field != "numerator" || !isNumber {
				return false, false
			}
			field, positive = "", positive || above
		}
		s = s[end:]
	}
	return positive, ok && field == ""
}

// number reports whether s is a decimal number, of 0 or more, and whether it is above 0.
func number(s string) (positive, ok bool) {
	negative := s != "" && s[0] == '-'
	if negative || s != "" && s[0] == '+' {
		s = s[1:]
	}
	mantissa, exponent, scientific := ascii.Cut(s, "e")
	if scientific {
		if exponent != "" && (exponent[0] == '-' || exponent[0] == '+') {
			exponent = exponent[1:]
		}
		if _, ok := digits(exponent); !ok {
			return false, false
		}
	}
	whole, fraction, _ := ascii.Cut(mantissa, ".")
	positive, ok = digits(whole + fraction)
	return positive && !negative, ok && !(positive && negative)
}

// digits reports whether s is one digit or more, and whether one of them is not 0.
func digits(s string) (positive, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false, false
		}
		positive = positive || s[i] != '0'
	}
	return positive, s != ""
}

// until is the time in Unix nanoseconds, as far as Switch.Until can tell it: a time that does not fit into 64 bits,
// from the year 2262 on as in "9999-12-31T23:59:59Z", is no end.
func until(seconds, nanoseconds int64) int64 {
	switch {
	case seconds > math.MaxInt64/int64(duration.Second)-1:
		return 0
	case seconds < 0 || seconds == 0 && nanoseconds == 0:
		return 1
	}
	return seconds*int64(duration.Second) + nanoseconds
}

// ParseMetadata reads the route metadata value healthgate.maintenance as Envoy hands it over: a boolean is one byte,
// a number is an IEEE 754 double in 8 bytes, a string is its text.
func ParseMetadata(value string) bool {
	if strings.Trim(value, "\x00") == "" {
		return false // absent, false, 0.0, or an empty string
	}
	if len(value) == 1 && value[0] == 1 {
		return true
	}
	s, _ := ParseSwitch(value)
	return s.On
}

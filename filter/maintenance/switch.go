// Package maintenance reads what operators say about maintenance: the value of a runtime key, Envoy's
// /runtime?format=json document, and route metadata.
package maintenance

import (
	"math"
	"strings"
	"time"

	"github.com/valyala/fastjson/fastfloat"
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

// ParseSwitch reads a runtime key's value: true, yes, on or a number above 0 is on; false, no, off, 0 or nothing is
// off; an RFC 3339 time is on until then. Anything else is on with known false: whoever typed it wanted maintenance.
func ParseSwitch(value string) (s Switch, known bool) {
	value = strings.ToLower(strings.TrimSpace(value))
	switch value {
	case "true", "yes", "on":
		return Switch{On: true}, true
	case "", "false", "no", "off":
		return Switch{}, true
	}
	// "nan" and "inf" are numbers to the parser, not to an operator.
	digits := strings.TrimLeft(value, "+-.")
	if digits != "" && '0' <= digits[0] && digits[0] <= '9' {
		if f, err := fastfloat.Parse(strings.TrimPrefix(value, "+")); err == nil && f >= 0 {
			return Switch{On: f > 0}, true
		}
	}
	// RFC 3339 wants a capital T and Z, and its section 5.6 lets applications accept small ones.
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(value)); err == nil {
		return Switch{On: true, Until: until(t)}, true
	}
	return Switch{On: true}, false
}

// until is the time in Unix nanoseconds, clamped to what Switch.Until can tell: "9999-12-31T23:59:59Z" does not fit into
// 64 bits, and 0 would mean no end.
func until(t time.Time) int64 {
	switch s := t.Unix(); {
	case s > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	case s < 0 || t.UnixNano() == 0:
		return 1
	}
	return t.UnixNano()
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

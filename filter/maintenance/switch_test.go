package maintenance

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseSwitch(t *testing.T) {
	t.Parallel()
	at := func(s string) int64 {
		u, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return u.UnixNano()
	}
	on, off := Switch{On: true}, Switch{}
	for _, test := range []struct {
		value string
		want  Switch
		known bool
	}{
		{"true", on, true}, {"yes", on, true}, {"on", on, true},
		{"TRUE", on, true}, {"Yes", on, true}, {" on\n", on, true},
		{"false", off, true}, {"no", off, true}, {"off", off, true}, {"OFF", off, true}, {" False\t", off, true},
		{"", off, true},
		{`"false"`, off, true}, {`'off'`, off, true}, {"'\"false\"'", off, true}, {` " No " `, off, true}, {`"0"`, off, true},
		{`""`, off, true}, {`"true"`, on, true}, {`'2026-11-21T05:00:00Z'`, Switch{true, at("2026-11-21T05:00:00Z")}, true},
		// Fractions, as a file or the admin layer has them, and as Envoy prints those of static layers and RTDS.
		{`{"numerator": 0, "denominator": "HUNDRED"}`, off,
			true}, {`{"denominator":"TEN_THOUSAND","numerator":0}`, off, true},
		{`{"numerator": 1, "denominator": "MILLION"}`, on, true}, {`{"numerator": 100}`, on,
			true}, {`{"numerator":0}`, off, true},
		{"numerator: 0\ndenominator: HUNDRED", off, true}, {"numerator: 5\ndenominator: HUNDRED\n", on, true},
		{"{numerator: 0, denominator: HUNDRED}", off, true}, {`{"numerator": "0"}`, off,
			true}, {`{"numerator": 0.5}`, on, true},
		{`{"denominator": "HUNDRED"}`, off, true}, {"{}", off, true}, {`'{"numerator": 0}'`, off, true},
		{debugString("", "numerator", "number_value: 0"), off, true},
		{debugString("", "denominator", `string_value: "HUNDRED"`, "numerator", "number_value: 0"), off, true},
		{debugString("goo.gle/debugproto   \n", "denominator", `string_value: "HUNDRED"`, "numerator",
			"number_value: 0"), off, true},
		{debugString("goo.gle/debugproto  \n", "denominator", `string_value: "TEN_THOUSAND"`, "numerator",
			"number_value: 5"), on, true},
		{debugString("", "denominator", `string_value: "HUNDRED"`), off, true},
		{debugString("goo.gle/debugproto   \n"), off, true},
		{debugString("goo.gle/debugonly   \n", "denominator", `string_value: "HUNDRED"`, "numerator",
			"number_value: 0"), off, true},
		{debugString("goo.gle/debugonly\n", "numerator", "number_value: 5"), on, true},
		{debugString("goo.gle/debugstr \n", "denominator", `string_value: "HUNDRED"`, "numerator",
			"number_value: 0"), off, true},
		{debugString(" goo.gle/debugstr"), off, true},
		{debugString("", "numerator", `string_value: "0.5"`), on, true},
		// Values that only look like a fraction.
		{`{"numerator": 0, "x": 1}`, on, false}, {`{"numerator": "no"}`, on, false}, {`{"numerator": -5}`, on, false},
		{`{"numerator": 0, "denominator": "THOUSAND"}`, on, false}, {`{"numerator":}`, on,
			false}, {`{"numerator": 0, 1}`, on, false},
		{`[{"numerator": 0}]`, on, false}, {`{"numerator": {}, "denominator": "HUNDRED"}`, on,
			false}, {"numerator", on, false},
		{`{"numerator": 0, "numerator": 5}`, on, true}, {"{", on, false}, {":", on, false}, {"{}{}", on,
			false}, {"[]", on, false},
		{"fields", on, false}, {"denominator: 0", on, false}, {"hundred", on,
			false}, {debugString("", "a", "number_value: 0"), on, false},
		{"numerator=0", on, false}, {`{"enabled": false}`, on, false}, {"goo.gle/debug", on, false},
		// Blanks alone are what Envoy shows in the place of bytes that are no UTF-8.
		{" ", on, false}, {"  \n", on, false}, {`"  "`, on, false}, {`"`, on, false}, {`'off"`, on, false}, {"~", on, false},
		{"0", off, true}, {"0.0", off, true}, {"00", off, true}, {"-0", off, true}, {"0e5", off, true},
		{"1", on, true}, {"100", on, true}, {"1e3", on, true}, {"1E3", on, true}, {"0.5", on, true}, {"+1", on, true},
		{"12345678901234567890123", on, true},
		// Whoever typed anything else wanted maintenance.
		{"-1", on, false}, {"-0.5", on, false}, {"nan", on, false}, {"inf", on, false}, {"+inf", on, false},
		{"-inf", on, false}, {"+nan", on, false}, {"Infinity", on, false}, {"0x10", on, false}, {"0x0", on, false},
		{"1_000", on, false}, {"1e", on, false}, {".", on, false}, {"+", on, false}, {"-", on, false},
		{"++1", on, false}, {"100%", on, false}, {"ture", on, false}, {"t", on, false}, {"enabled", on, false},
		{"none", on, false}, {"null", on, false}, {"tomorrow", on, false}, {"\x00", on, false},
		{"2026-11-21", on, false}, {"2026-11-21 05:00:00Z", on, false}, {"2026-11-21T05:00:00", on, false},
		{"2026-13-01T00:00:00Z", on, false}, {"2026-11-21T05:00Z", on, false},
		// RFC 3339.
		{"2026-11-21T05:00:00Z", Switch{true, at("2026-11-21T05:00:00Z")}, true},
		{"2026-11-21t05:00:00z", Switch{true, at("2026-11-21T05:00:00Z")}, true},
		{"2026-11-21T05:00:00.25Z", Switch{true, at("2026-11-21T05:00:00.25Z")}, true},
		{"2026-11-21T05:00:00+02:00", Switch{true, at("2026-11-21T03:00:00Z")}, true},
		{" 2026-11-21T05:00:00-02:00 ", Switch{true, at("2026-11-21T07:00:00Z")}, true},
		// Times that 64 bits of nanoseconds cannot tell, and the one that would read as "no end".
		{"9999-12-31T23:59:59Z", on, true},
		{"2263-01-01T00:00:00Z", on, true},
		{"2262-04-11T23:47:15Z", Switch{true, at("2262-04-11T23:47:15Z")}, true},
		{"2262-04-11T23:47:17Z", on, true},
		{"1970-01-01T00:00:00Z", Switch{true, 1}, true},
		{"0001-01-01T00:00:00Z", Switch{true, 1}, true},
		{"1600-01-01T00:00:00Z", Switch{true, 1}, true},
	} {
		t.Run(test.value, func(t *testing.T) {
			if got, known := ParseSwitch(test.value); got != test.want || known != test.known {
				t.Errorf("ParseSwitch(%q) = %+v, %t, want %+v, %t", test.value, got, known, test.want, test.known)
			}
		})
	}
}

// debugString is what Envoy's admin shows of a Struct with these fields.
func debugString(marker string, fields ...string) string {
	for i := 0; i < len(fields); i += 2 {
		marker += "fields {\n  key: \"" + fields[i] + "\"\n  value {\n    " + fields[i+1] + "\n  }\n}\n"
	}
	return marker
}

type wall func() int64

func (w wall) Wall() int64 { return w() }

func TestActive(t *testing.T) {
	t.Parallel()
	const now = int64(1_800_000_000_000_000_000) // 2027-01-15
	for _, test := range []struct {
		name   string
		s      Switch
		active bool
	}{
		{"off", Switch{}, false},
		{"off, whatever its end", Switch{Until: now + 1}, false},
		{"on without an end", Switch{On: true}, true},
		{"on until the next nanosecond", Switch{On: true, Until: now + 1}, true},
		{"on until now", Switch{On: true, Until: now}, false},
		{"on until a moment ago", Switch{On: true, Until: now - 1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.s.Active(wall(func() int64 { return now })); got != test.active {
				t.Errorf("%s: active is %t", test.name, got)
			}
		})
	}
	for value, active := range map[string]bool{
		"9999-12-31T23:59:59Z": true, "2027-01-16T00:00:00Z": true,
		"2027-01-14T00:00:00Z": false, "1970-01-01T00:00:00Z": false, "0001-01-01T00:00:00Z": false,
	} {
		t.Run(value, func(t *testing.T) {
			s, _ := ParseSwitch(value)
			if got := s.Active(wall(func() int64 { return now })); got != active {
				t.Errorf("%s: active is %t", value, got)
			}
		})
	}
}

// An end must not cost a clock reading where there is none.
func TestActiveAsksTheTimeOnlyForAnEnd(t *testing.T) {
	t.Parallel()
	clock := wall(func() int64 { t.Error("the clock was read"); return 0 })
	Switch{}.Active(clock)
	Switch{On: true}.Active(clock)
}

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	number := func(f float64) string {
		return string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)))
	}
	for _, test := range []struct {
		name, value string
		on          bool
	}{
		{"absent", "", false}, {"false", "\x00", false}, {"true", "\x01", true},
		{"number 0", number(0), false}, {"number 1", number(1), true}, {"number 100", number(100), true},
		{"number 0.5", number(0.5), true},
		{"text true", "true", true}, {"text on", "on", true}, {"text 1", "1", true}, {"text 100", "100", true},
		{"text false", "false", false}, {"text off", "off", false}, {"text no", "no", false}, {"text 0", "0", false},
		{"text of another kind", "please", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ParseMetadata(test.value); got != test.on {
				t.Errorf("%s: %t, want %t", test.name, got, test.on)
			}
		})
	}
}

func FuzzParseSwitch(f *testing.F) {
	for _, s := range []string{"", "true", "off", "100", "-1", "+inf", "0x10", `"'off'"`, "numerator: 0",
		`{"numerator":0,"denominator":"MILLION"}`, "goo.gle/debugproto ", " ", "9999-12-31T23:59:59Z",
		"\xff", "1e-400", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s, known := ParseSwitch(value)
		if !known && s != (Switch{On: true}) {
			t.Errorf("%q is not known, yet %+v: it must be on without an end", value, s)
		}
		if !s.On && s.Until != 0 {
			t.Errorf("%q is off with an end", value)
		}
		if s.Until < 0 {
			t.Errorf("%q ends before 1970: %+v", value, s)
		}
		if again, k := ParseSwitch(" " + strings.ToUpper(value) + "\n"); isASCII(value) && strings.TrimSpace(value) != "" &&
			(again != s || k != known) {
			t.Errorf("%q: case or space around it changes %+v to %+v", value, s, again)
		}
		ParseMetadata(value)
	})
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// What package strconv reads as a number of 0 or more is one, but for its hexadecimal, infinite and missing numbers.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{
		"", "0", "-0", "+0", "1", "+1", "-1", "1.", ".5", ".", "-.5", "+.0", "00", "1e3", "1e", "1e+", "1e-0", "0e5", "e5",
		".e5", "1.e5", "1e400", "-1e400", "0e400", "1.2.3", "1e2e3", "1e2.5", "1_000", "--1", "+-0", "1 ",
		"123456789012345678901234567890.5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Trim(s, "0123456789+-.e") != "" {
			return
		}
		n, err := strconv.ParseFloat(s, 64)
		isNumber := (err == nil || errors.Is(err, strconv.ErrRange)) && n >= 0
		positive, ok := number(s)
		tooSmall := n == 0 && strings.HasPrefix(s, "-") && !ok // for strconv to tell from 0
		if ok != isNumber && !tooSmall || ok && n > 0 && !positive {
			t.Errorf("%q: above 0 %t, a number %t; strconv says %v, %v", s, positive, ok, n, err)
		}
	})
}

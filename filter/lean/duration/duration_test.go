package duration

import (
	"math"
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "0", "-0", "+0", "00", "1", "1s", "+1s", "-1s", "1.5h", "-1m30s", "500ms", "1us", "1µs", "1μs", "1ns", ".5s",
		"5.s", ".s", "s", "1h1h", "1.1.1s", "1 s", " 1s", "1s ", "1S", "1d", "++1s", "-", "+", "-.5s", "1e3s",
		"0.9999999999999999999s", "0.3333333333333333333h", "9223372036854775807ns", "9223372036854775808ns",
		"-9223372036854775808ns", "-9223372036854775809ns", "9223372036854775.808us", "2562047h47m16.854775807s",
		"2562047h47m16.854775808s", "2562048h", "99999999999999999999s", "0.922337203685477580899h",
		"1.00000000000000000000s",
		"0.100000000000000000000000000000h", "9223372036854775808us", "1\x00", "\xffs",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Parse(s)
		want, err := time.ParseDuration(s)
		if ok != (err == nil) || ok && int64(got) != int64(want) {
			t.Errorf("%q: %d, %t; package time says %d, %v", s, got, ok, want, err)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, d := range []time.Duration{
		0, 1, 999, 1000, 1001, 999999, 1000000, 1500000, 100 * time.Millisecond, time.Second, 1500 * time.Millisecond,
		time.Minute, time.Minute + 1, time.Hour, 24 * time.Hour, time.Hour + time.Second, math.MaxInt64,
	} {
		f.Add(int64(d))
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if d := time.Duration(n); d >= 0 && Text(Duration(n)) != d.String() {
			t.Errorf("%d is written as %s, by package time as %s", n, Text(Duration(n)), d)
		}
	})
}

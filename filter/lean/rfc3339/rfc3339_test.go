package rfc3339

import (
	"testing"
	"time"
)

func TestFormatEachDay(t *testing.T) {
	t.Parallel()
	from, to := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
	check := func(at int64) {
		want := time.Unix(at, 0).UTC().Format(time.RFC3339)
		if got := Format(at); got != want {
			t.Fatalf("%d is written as %s, want %s", at, got, want)
		}
		if got, ns, ok := Parse(want); got != at || ns != 0 || !ok {
			t.Fatalf("%s is read as %d.%09d, %t; want %d", want, got, ns, ok, at)
		}
	}
	for at := from; at < to; at += 24*3600 + 1 { // one second more, so that each time of day comes too
		check(at)
	}
	check(to)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"2026-11-21T05:00:00Z", "2026-11-21T5:00:00Z", "2026-11-21T05:00:00.25Z", "2026-11-21T05:00:00,25Z",
		"2026-11-21T05:00:00.123456789987Z", "2026-11-21T05:00:00.Z", "2026-11-21T05:00:00+02:00",
		"2026-11-21T05:00:00-24:60", "2026-11-21T05:00:00+24:61", "2026-11-21T05:00:00+25:00", "2026-11-21T05:00:00+0200",
		"2026-11-21T05:00:00ZZ", "2026-11-21T05:00:00", "2026-11-21T24:00:00Z", "2026-11-21T23:60:00Z",
		"2026-11-21T23:59:60Z", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-001-01-01T00:00:00Z",
		"2026-11-21t05:00:00z", "2026-11-21 05:00:00Z", "2026-11-21T05:00Z", "T", "", "2026-11-21T:00:00Z",
		"2026-11-21T05:00:00.5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seconds, nanoseconds, ok := Parse(s)
		want, err := time.Parse(time.RFC3339, s)
		if ok != (err == nil) || ok && (seconds != want.Unix() || nanoseconds != int64(want.Nanosecond())) {
			t.Errorf("%q: %d.%09d, %t; package time says %d.%09d, %v", s, seconds, nanoseconds, ok,
				want.Unix(), want.Nanosecond(), err)
		}
	})
}

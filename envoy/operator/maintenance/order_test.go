package maintenance

import (
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 11, 21, 7, 30, 15, 500, zone)
	until := func(s string) func() (string, error) { return func() (string, error) { return Until(s, now) } }
	after := func(s string) func() (string, error) { return func() (string, error) { return For(s, now) } }
	for _, test := range []struct {
		name string
		get  func() (string, error)
		want string // the value, or what the error says
	}{
		{"a duration, rounded up", after("30m"), "2026-11-21T06:00:16Z"},
		{"a second", after("1s"), "2026-11-21T05:30:17Z"},
		{"less than a second", after("999ms"), "999ms is less than a second"},
		{"none", after("0s"), "0s is less than a second"},
		{"days", after("1d"), `"1d" is not a time such as 30m or 1h30m; a day is 24h`},
		{"no unit", after("30"), `"30" is not a time such as 30m`},
		{"RFC 3339", until("2026-12-01T06:00:00Z"), "2026-12-01T06:00:00Z"},
		{"with an offset", until("2026-12-01T06:00:00+01:00"), "2026-12-01T05:00:00Z"},
		{"local", until("2026-12-01 06:00"), "2026-12-01T04:00:00Z"},
		{"local, with seconds", until("2026-12-01T06:00:30"), "2026-12-01T04:00:30Z"},
		{"later today", until("07:31"), "2026-11-21T05:31:00Z"},
		{"tomorrow", until("07:30"), "2026-11-22T05:30:00Z"},
		{"the past", until("2026-11-21T05:30:15Z"), "2026-11-21T05:30:15Z has passed"},
		{"nothing", until(""), `"" is not a time such as`},
		{"a duration as a time", until("30m"), `"30m" is not a time such as`},
	} {
		got, err := test.get()
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"": "", "disk swap, rack 4": "", strings.Repeat("x", 256): "",
		strings.Repeat("x", 257): "257 bytes", "a\nb": "control character", "#4": "starts with #", " a": "space at its begin",
	} {
		err := CheckReason(reason)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", reason, err)
		}
	}
}

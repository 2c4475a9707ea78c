package order

import (
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 11, 21, 7, 30, 15, 500, zone)
	untilAt := func(s string, now time.Time) func() (string, error) {
		return func() (string, error) {
			value, note, err := Until(s, now)
			if note != "" {
				value += " " + note
			}
			return value, err
		}
	}
	until := func(s string) func() (string, error) { return untilAt(s, now) }
	berlin := must.Get(time.LoadLocation("Europe/Berlin"))(t)
	// The clocks of Berlin go back from 03:00 to 02:00 on 2026-10-25, and forward from 02:00 to 03:00 on 2027-03-28.
	inBerlin := func(s, utc string) func() (string, error) {
		at := must.Get(time.Parse(time.RFC3339, utc))(t)
		return untilAt(s, at.In(berlin))
	}
	const twice = " 2026-10-25 02:50 comes twice, as the clocks go back: taken is 2026-10-25T02:50:00+"
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
		{"clocks go back", inBerlin("02:50", "2026-10-24T20:00:00Z"),
			"2026-10-25T00:50:00Z" + twice + "02:00, not 2026-10-25T02:50:00+01:00"},
		{"between both", inBerlin("02:50", "2026-10-25T00:50:00Z"),
			"2026-10-25T01:50:00Z" + twice + "01:00, not 2026-10-25T02:50:00+02:00"},
		{"after both", inBerlin("02:50", "2026-10-25T01:50:00Z"), "2026-10-26T01:50:00Z"},
		{"with its date", inBerlin("2026-10-25 02:50", "2026-10-01T00:00:00Z"), "2026-10-25T00:50:00Z" + twice + "02:00"},
		{"before the hour", inBerlin("2026-10-25 01:59", "2026-10-01T00:00:00Z"), "2026-10-24T23:59:00Z"},
		{"behind the hour", inBerlin("2026-10-25 03:00", "2026-10-01T00:00:00Z"), "2026-10-25T02:00:00Z"},
		{"clocks go forward", inBerlin("02:30", "2027-03-27T20:00:00Z"),
			"2027-03-28 02:30 never comes: the clocks go forward"},
		{"with its date, too", inBerlin("2027-03-28T02:00", "2027-03-01T00:00:00Z"), "2027-03-28 02:00 never comes"},
		{"the day after", inBerlin("02:30", "2027-03-28T08:00:00Z"), "2027-03-29T00:30:00Z"},
		{"behind the gap", inBerlin("03:00", "2027-03-27T20:00:00Z"), "2027-03-28T01:00:00Z"},
		{"the last second", until("9999-12-31T23:59:59Z"), "9999-12-31T23:59:59Z"},
		{"a year of five digits", until("9999-12-31T23:59:59-01:00"),
			"9999-12-31T23:59:59-01:00 is in the year 10000 in UTC"},
		{"a last second that is rounded up", until("9999-12-31T23:59:59.5Z"),
			"9999-12-31T23:59:59.5Z is in the year 10000 in UTC"},
		{"a fraction, rounded up", until("2026-11-21T05:30:15.9Z"), "2026-11-21T05:30:16Z"},
		{"small letters", until("2026-12-01t06:00:00z"), "2026-12-01T06:00:00Z"},
		{"an offset of a day", until("2026-12-01T06:00:00+24:00"), `"2026-12-01T06:00:00+24:00" is not a time such as`},
		{"an offset of 60 minutes", until("2026-12-01T06:00:00+01:60"), `"2026-12-01T06:00:00+01:60" is not a time such as`},
		{"an hour of one digit", until("2026-12-01T6:00:00Z"), `"2026-12-01T6:00:00Z" is not a time such as`},
		{"a comma", until("2026-12-01T06:00:00,5Z"), `"2026-12-01T06:00:00,5Z" is not a time such as`},
		{"nothing", until(""), `"" is not a time such as`},
		{"a duration as a time", until("30m"), `"30m" is not a time such as`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.get()
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, test.want) || len(got) > len(test.want) &&
				strings.HasSuffix(test.want, "Z") && err == nil {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"": "", "disk swap, rack 4": "", strings.Repeat("x", 256): "",
		strings.Repeat("x", 257): "257 bytes", "a\nb": "control character",
		"a\u0085b": "control character", "[ticket 4711]": "", "a: b": "",
		"INC-42: db: failover": "is read by Envoy as YAML", "{{x}} y": "as YAML", "[31mred": "as YAML", "@x": "as YAML",
		"`id`": "as YAML", "*a": "as YAML", "it's: [": "as YAML", "\"unclosed": "as YAML",
		"#4": "starts with #", " a": "space at its begin",
	} {
		t.Run(reason, func(t *testing.T) {
			err := CheckReason(reason)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", reason, err)
			}
		})
	}
}

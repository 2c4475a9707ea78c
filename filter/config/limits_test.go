package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// many is a configuration with as many probes and endpoints.
func many(probes, endpoints int) string {
	var p, e []string
	for i := range probes {
		p = append(p, fmt.Sprintf(`{"name":"p%d","cluster":"c","path":"/"}`, i))
	}
	for i := range endpoints {
		e = append(e, fmt.Sprintf(`{"name":"e%d","paths":["/%d"],"trusted":{"cidrs":["::1"]}}`, i, i))
	}
	return `{"probes":[` + strings.Join(p, ",") + `],"endpoints":[` + strings.Join(e, ",") + `]}`
}

func TestLimits(t *testing.T) {
	t.Parallel()
	cidrs := func(n int) string {
		return strings.Replace(good, `"10.0.0.0/8"`, strings.Repeat(`"::1",`, n-1)+`"::1"`, 1)
	}
	twoEndpoints := func(first, second int) string {
		return cidrs(first)[:len(cidrs(first))-2] + `,` +
			strings.Replace(cidrs(second), `"a"`, `"b"`, 1)[len(`{"endpoints":[`):]
	}
	named := func(n int) string { return strings.Replace(good, `"a"`, `"`+strings.Repeat("n", n)+`"`, 1) }
	padded := func(n int) string { return good + strings.Repeat(" ", n-len(good)) }
	for _, test := range []struct{ name, text, want string }{
		{"64 endpoints", many(0, 64), ""},
		{"65 endpoints", many(0, 65), "endpoints[64]: there are more than 64 endpoints"},
		{"64 probes", many(64, 1), ""},
		{"65 probes", many(65, 1), "probes[64]: there are more than 64 probes"},
		{"both at their limits", many(64, 64), ""},
		{"100,000 CIDRs", cidrs(100_000), ""},
		{"100,000 CIDRs over two endpoints", twoEndpoints(60_000, 40_000), ""},
		{"100,001 CIDRs over two endpoints", twoEndpoints(60_000, 40_001),
			"endpoints[1].trusted.cidrs[40000]: there are more than 100000 CIDRs"},
		{"1 MiB", padded(1 << 20), ""},
		{"1 MiB and a byte", padded(1<<20 + 1), "1048577 bytes are more than 1048576"},
		{"64 headers", reply(`"headers":{` + manyHeaders(64) + `}`), ""},
		{"a name of 64", named(64), ""},
		{"a name of 65", named(65), "endpoints[0].name: is longer than 64 characters"},
		{"every character of a name", strings.Replace(good, `"a"`, `"azAZ09_-."`, 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte(test.text), Node{})
			if got := textOf(err); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			} else if err == nil && len(c.Endpoints) != strings.Count(test.text, `"paths"`) {
				t.Errorf("%s: %d endpoints", test.name, len(c.Endpoints))
			}
		})
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Numbers and durations exactly at their bounds are taken, one beyond is not.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		section    func(fields string) string
		name       string
		takes      []string
		takesNot   []string
		wantsWords string
	}{
		{rooted, "unhealthy_threshold", []string{`1`, `1000`, `2e2`}, []string{`0`, `1001`, `-1`, `1.5`},
			"is not a whole number from 1 to 1000"},
		{rooted, "healthy_threshold", []string{`1`, `1000`}, []string{`0`, `1001`}, "is not a whole number from 1 to 1000"},
		{rooted, "interval", []string{`"100ms"`, `"1h"`, `"1.5m"`}, []string{`"99ms"`, `"3601s"`, `"-1s"`},
			"is not between 100ms and 1h0m0s"},
		{rooted, "timeout", []string{`"10ms"`, `"1m"`}, []string{`"9ms"`, `"60001ms"`, `"0s"`},
			"is not between 10ms and 1m0s"},
		{admin, "interval", []string{`"100ms"`, `"10s"`}, []string{`"99ms"`, `"3601s"`}, "is not between 100ms and 1h0m0s"},
		{admin, "timeout", []string{`"10ms"`, `"1m"`}, []string{`"9ms"`, `"60001ms"`}, "is not between 10ms and 1m0s"},
		{admin, "max_age", []string{`"1s"`, `"24h"`}, []string{`"99ms"`, `"86401s"`}, "is not between 100ms and 24h0m0s"},
		{reply, "status", []string{`200`, `599`}, []string{`199`, `600`, `1e9`, `-200`},
			"is not a whole number from 200 to 599"},
		{gauge, "above", []string{`0`, `2147483647`, `2e9`}, []string{`2147483648`, `4294967294`, `3e9`, `-1`, `1.5`},
			"is not a whole number from 0 to 2147483647"},
		{statuses, "start", []string{`100`, `598`}, []string{`99`, `600`}, "is not a whole number from 100 to 599"},
		{statuses, "end", []string{`101`, `600`}, []string{`100`, `601`}, "is not a whole number from 101 to 600"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, value := range test.takes {
				if _, err := Parse([]byte(test.section(`"`+test.name+`":`+value)), Node{}); err != nil {
					t.Errorf("%s %s: %v", test.name, value, err)
				}
			}
			for _, value := range test.takesNot {
				_, err := Parse([]byte(test.section(`"`+test.name+`":`+value)), Node{})
				if want := test.name + ": " + value + " " + test.wantsWords; !strings.HasSuffix(textOf(err), want) {
					t.Errorf("%s %s: got %v, want … %s", test.name, value, err, want)
				}
			}
		})
	}
}

func rooted(fields string) string { return probe(`"path":"/",` + fields) }

func gauge(fields string) string {
	return `{"admin":{"cluster":"a"},"probes":[{"name":"p","gauge":{"stat":"s",` + fields + `}}],` + good[1:]
}

func reply(fields string) string { return endpoint(`"healthy":{` + fields + `}`) }

func statuses(fields string) string {
	return probe(`"path":"/","expected_statuses":[{` + fields + `}]`)
}

func TestMaxAgeIsNotShorterThanInterval(t *testing.T) {
	t.Parallel()
	if _, err := Parse([]byte(admin(`"interval":"2s","max_age":"2s"`)), Node{}); err != nil {
		t.Error(err)
	}
	_, err := Parse([]byte(admin(`"interval":"2s","max_age":"1999ms"`)), Node{})
	if want := "admin.max_age: 1.999s is shorter than admin.interval, 2s"; textOf(err) != want {
		t.Errorf("%v", err)
	}
}

func TestDefaultsOfProbesAndAdmin(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(`{"admin":{"cluster":"a"},"probes":[`+
		`{"name":"p","cluster":"c","path":"/alive?deep=1"}],`+good[1:]), Node{})
	if err != nil {
		t.Fatal(err)
	}
	want := Probe{Name: "p", Cluster: "c", Path: "/alive?deep=1", Host: "localhost", Method: "GET",
		Interval: duration.Second,
		Timeout:  500 * duration.Millisecond, UnhealthyThreshold: 1, HealthyThreshold: 1,
		ExpectedStatuses: []StatusRange{{200, 201}}}
	if len(c.Probes) != 1 || fmt.Sprint(c.Probes[0]) != fmt.Sprint(want) {
		t.Errorf("probe %+v, want %+v", c.Probes, want)
	}
	if want := (Admin{"a", duration.Second, 2 * duration.Second, 15 * duration.Second, false, false}); *c.Admin != want {
		t.Errorf("admin %+v, want %+v", *c.Admin, want)
	}
	p := &c.Probes[0]
	if got := p.MaxAge(); got != 10*duration.Second {
		t.Errorf("a result of the probe counts for %v", got)
	}
	p.ExpectedStatuses = []StatusRange{{200, 201}, {300, 302}}
	for status, want := range map[uint32]bool{199: false, 200: true, 201: false, 299: false, 300: true,
		301: true, 302: false} {
		if p.Expects(status) != want {
			t.Errorf("status %d: %v", status, !want)
		}
	}
	if c, err := Parse([]byte(good), Node{}); err != nil || c.Admin != nil || len(c.Probes) != 0 ||
		len(c.Endpoints[0].Probes.Names) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

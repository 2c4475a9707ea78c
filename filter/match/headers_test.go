package match

import (
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

func TestHeaderKinds(t *testing.T) {
	t.Parallel()
	const missing = "\x00" // stands for a request without the header
	for _, test := range []struct {
		kind       config.MatchKind
		value      string
		ignoreCase bool
		is, not    []string
	}{
		{config.Exact, "a/b", false, []string{"a/b"}, []string{"a/bc", "a/", "A/b", "a/b ", "a/b,a/b", missing}},
		{config.Exact, "", false, []string{""}, []string{"x", missing}},
		{config.Prefix, "ELB/", false, []string{"ELB/2.0", "ELB/"}, []string{"ELB", "xELB/2.0", "elb/2.0", missing}},
		{config.Suffix, "/2", false, []string{"ELB/2", "/2"}, []string{"ELB/2.0", missing}},
		{config.Suffix, "b", false, nil, []string{"aB"}},
		{config.Contains, "Check", false, []string{"HealthChecker", "Checker", "HealthCheck"},
			[]string{"Healthcheck", "Che ck", missing}},
		{config.Present, "", false, []string{"x", ""}, []string{missing}},
		{config.Absent, "", false, []string{missing}, []string{"x", ""}},
		{config.Exact, "a/b", true, []string{"A/B"}, []string{"A/C"}},
		{config.Prefix, "elb", true, []string{"ELB/2"}, []string{"x-ELB", missing}},
		{config.Suffix, "ker", true, []string{"CHECKER"}, nil},
		{config.Contains, "check", true, []string{"HealthCHECKer"}, nil},
	} {
		e := config.Endpoint{Headers: []config.HeaderMatcher{{Name: "user-agent", Kind: test.kind, Value: test.value,
			IgnoreCase: test.ignoreCase}}}
		for want, values := range map[bool][]string{true: test.is, false: test.not} {
			for _, value := range values {
				r := get("user-agent2", "a near miss")
				if value != missing {
					r["user-agent"] = value
				}
				if got := matches(e, r); got != want {
					t.Errorf("kind %v of %q, ignoring case %v: %q: %v", test.kind, test.value, test.ignoreCase, value, got)
				}
			}
		}
	}
}

func TestEveryHeaderMustMatch(t *testing.T) {
	t.Parallel()
	e := config.Endpoint{Headers: []config.HeaderMatcher{
		{Name: "user-agent", Kind: config.Prefix, Value: "ELB"},
		{Name: "x-probe", Kind: config.Present},
		{Name: "cookie", Kind: config.Absent},
		{Name: "user-agent", Kind: config.Suffix, Value: "2.0"},
	}}
	for _, test := range []struct {
		name    string
		request request
		want    bool
	}{
		{"all", get("user-agent", "ELB/2.0", "x-probe", ""), true},
		{"not the first", get("user-agent", "xLB/2.0", "x-probe", ""), false},
		{"not the second", get("user-agent", "ELB/2.0"), false},
		{"not the third", get("user-agent", "ELB/2.0", "x-probe", "", "cookie", "a=b"), false},
		{"not the last", get("user-agent", "ELB/1.0", "x-probe", ""), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(e, test.request); got != test.want {
				t.Errorf("%s: %v", test.name, got)
			}
		})
	}
}

// What an operator writes in any case meets the lower-case names that Envoy gives.
func TestConfiguredMatchers(t *testing.T) {
	t.Parallel()
	c, err := config.Parse([]byte(`{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"cidrs":["::1"]},
		"hosts":["LB.Example"],"methods":[],
		"headers":[{"name":"User-Agent","prefix":"ELB-Health","ignore_case":true},
			{"name":"X-Probe","contains":"Yes"},{"name":"Cookie","present_match":false},
			{"name":"Via","present_match":true},{"name":"X-Empty","exact":""}]}]}`), config.Node{})
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(c.Endpoints)
	good := func() request {
		return get(":authority", "lb.example:80", "user-agent", "elb-healthCHECKER", "x-probe", "oYes",
			"via", "", "x-empty", "")
	}
	for _, test := range []struct {
		name   string
		change func(r request)
		want   int
	}{
		{"as configured", func(request) {}, 0},
		{"any method", func(r request) { r[":method"] = "PROPFIND" }, 0},
		{"another host", func(r request) { r[":authority"] = "lb" }, -1},
		{"another agent", func(r request) { r["user-agent"] = "curl" }, -1},
		{"the case counts where it is not ignored", func(r request) { r["x-probe"] = "yes" }, -1},
		{"a cookie", func(r request) { r["cookie"] = "a=b" }, -1},
		{"no via", func(r request) { delete(r, "via") }, -1},
		{"x-empty is not empty", func(r request) { r["x-empty"] = "1" }, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := good()
			test.change(r)
			if got := table.Find("/hc", r); got != test.want {
				t.Errorf("%s: %d, want %d", test.name, got, test.want)
			}
		})
	}
}

package match

import (
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

func TestHeaderKinds(t *testing.T) {
	t.Parallel()
	const missing = "\x00" // stands for a request without the header
	for _, test := range []struct {
		name    string
		matcher config.HeaderMatcher
		value   string
		want    bool
	}{
		{"exact", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "a/b", true},
		{"exact, longer", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "a/bc", false},
		{"exact, shorter", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "a/", false},
		{"exact, another case", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "A/b", false},
		{"exact, a blank more", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "a/b ", false},
		{"exact, two values", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, "a/b,a/b", false},
		{"exact, missing", config.HeaderMatcher{Kind: config.Exact, Value: "a/b"}, missing, false},
		{"exactly empty", config.HeaderMatcher{Kind: config.Exact}, "", true},
		{"exactly empty, something", config.HeaderMatcher{Kind: config.Exact}, "x", false},
		{"exactly empty, missing", config.HeaderMatcher{Kind: config.Exact}, missing, false},

		{"prefix", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, "ELB/2.0", true},
		{"prefix, nothing more", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, "ELB/", true},
		{"prefix, shorter", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, "ELB", false},
		{"prefix, not at the start", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, "xELB/2.0", false},
		{"prefix, another case", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, "elb/2.0", false},
		{"prefix, missing", config.HeaderMatcher{Kind: config.Prefix, Value: "ELB/"}, missing, false},

		{"suffix", config.HeaderMatcher{Kind: config.Suffix, Value: "/2"}, "ELB/2", true},
		{"suffix, nothing more", config.HeaderMatcher{Kind: config.Suffix, Value: "/2"}, "/2", true},
		{"suffix, not at the end", config.HeaderMatcher{Kind: config.Suffix, Value: "/2"}, "ELB/2.0", false},
		{"suffix, another case", config.HeaderMatcher{Kind: config.Suffix, Value: "b"}, "aB", false},
		{"suffix, missing", config.HeaderMatcher{Kind: config.Suffix, Value: "/2"}, missing, false},

		{"contains, inside", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, "HealthChecker", true},
		{"contains, at the start", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, "Checker", true},
		{"contains, at the end", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, "HealthCheck", true},
		{"contains, another case", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, "Healthcheck", false},
		{"contains, in pieces", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, "Che ck", false},
		{"contains, missing", config.HeaderMatcher{Kind: config.Contains, Value: "Check"}, missing, false},

		{"present", config.HeaderMatcher{Kind: config.Present}, "x", true},
		{"present, empty", config.HeaderMatcher{Kind: config.Present}, "", true},
		{"present, missing", config.HeaderMatcher{Kind: config.Present}, missing, false},
		{"absent, missing", config.HeaderMatcher{Kind: config.Absent}, missing, true},
		{"absent, there", config.HeaderMatcher{Kind: config.Absent}, "x", false},
		{"absent, there and empty", config.HeaderMatcher{Kind: config.Absent}, "", false},

		{"exact, ignoring case", config.HeaderMatcher{Kind: config.Exact, Value: "a/b", IgnoreCase: true}, "A/B", true},
		{"exact, ignoring case, other", config.HeaderMatcher{Kind: config.Exact, Value: "a/b",
			IgnoreCase: true}, "A/C", false},
		{"prefix, ignoring case", config.HeaderMatcher{Kind: config.Prefix, Value: "elb", IgnoreCase: true}, "ELB/2", true},
		{"prefix, ignoring case, other", config.HeaderMatcher{Kind: config.Prefix, Value: "elb",
			IgnoreCase: true}, "x-ELB", false},
		{"suffix, ignoring case", config.HeaderMatcher{Kind: config.Suffix, Value: "ker", IgnoreCase: true}, "CHECKER", true},
		{"contains, ignoring case", config.HeaderMatcher{Kind: config.Contains, Value: "check",
			IgnoreCase: true}, "HealthCHECKer", true},
		{"missing, ignoring case", config.HeaderMatcher{Kind: config.Prefix, Value: "elb", IgnoreCase: true}, missing, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := get("user-agent2", "a near miss")
			if test.value != missing {
				r["user-agent"] = test.value
			}
			test.matcher.Name = "user-agent"
			if got := matches(config.Endpoint{Headers: []config.HeaderMatcher{test.matcher}}, r); got != test.want {
				t.Errorf("%s: %v", test.name, got)
			}
		})
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

package match

import (
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

// request is a request by its headers.
type request map[string]string

func (r request) Header(name string) (string, bool) {
	value, ok := r[name]
	return value, ok
}

// get is a plain GET with more headers, in pairs.
func get(headers ...string) request {
	r := request{":method": "GET", ":authority": "localhost"}
	for i := 0; i < len(headers); i += 2 {
		r[headers[i]] = headers[i+1]
	}
	return r
}

// matches reports whether the request for the endpoint's own path is the endpoint's.
func matches(e config.Endpoint, r Request) bool {
	e.Paths = []string{"/hc"}
	return NewTable([]config.Endpoint{e}).Find("/hc", r) == 0
}

func TestPaths(t *testing.T) {
	t.Parallel()
	table := NewTable([]config.Endpoint{{Paths: []string{"/my-service/healthcheck", "/live"}}, {Paths: []string{"/"}},
		{Paths: []string{"/a%20b", "/dir/", "/x;y", "/a//b", "/a/../b"}}})
	for want, paths := range map[int][]string{
		0: {"/my-service/healthcheck", "/live", "/live?", "/live?verbose", "/live?a=1?b=2", "/live?/../etc"},
		1: {"/", "/?"},
		2: {"/a%20b", "/dir/", "/x;y", "/a//b", "/a/../b"},
		-1: {
			"", "?", "?/live", "*", "live", "//live", "/live/", "/live/x", "/liv", "/lived", "/live;v=1", "/live;v=1?a",
			"/live#top", "/live%3Fa", "/live ", " /live", "/live\x00", "/live&a", "/LIVE", "/Live", "/l%69ve", "/a b", "/a+b",
			"/a%20B", "/dir", "/x", "/x%3by", "/a/b", "/b", "/./live", "/my-service/../live", "/my-service%2Fhealthcheck",
			`\live`, "http://localhost/live",
		},
	} {
		for _, path := range paths {
			if got := table.Find(path, get()); got != want {
				t.Errorf("%q: %d, want %d", path, got, want)
			}
		}
	}
	if got := NewTable(nil).Find("/", get()); got != -1 {
		t.Errorf("no endpoints: %d", got)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		methods []string
		request request
		want    bool
	}{
		{"any", nil, get(), true},
		{"any, even none", nil, request{}, true},
		{"an empty list is any", []string{}, get(":method", "PURGE"), true},
		{"the first", []string{"GET", "HEAD"}, get(), true},
		{"the second", []string{"GET", "HEAD"}, get(":method", "HEAD"), true},
		{"another", []string{"GET", "HEAD"}, get(":method", "POST"), false},
		{"methods have a case", []string{"GET"}, get(":method", "get"), false},
		{"no part of one", []string{"GET"}, get(":method", "GE"), false},
		{"not longer", []string{"GET"}, get(":method", "GETS"), false},
		{"empty", []string{"GET"}, get(":method", ""), false},
		{"missing", []string{"GET"}, request{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(config.Endpoint{Methods: test.methods}, test.request); got != test.want {
				t.Errorf("%s: %v", test.name, got)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host    string
		is, not []string // authorities
	}{
		{"a.example", []string{"a.example", "a.example:80", "a.example:", "A.Example", "A.EXAMPLE:8080"},
			[]string{"b.example", "x.a.example", "a.example.evil", "a.example.", "", ":80", "a.example:80:80",
				"user@a.example"}},
		{"a.example:8080", []string{"a.example:8080", "A.example:8080"}, []string{"a.example", "a.example:80"}},
		{"10.0.0.1", []string{"10.0.0.1", "10.0.0.1:7070"}, []string{"10.0.0.11"}},
		{"[fd00::1]", []string{"[fd00::1]", "[fd00::1]:80", "[FD00::1]:80"}, []string{"[fd00::2]", "fd00::1"}},
		{"[fd00::1]:80", []string{"[fd00::1]:80"}, []string{"[fd00::1]"}},
		{"fd00::1", []string{"fd00::1"}, nil},
		{"fd00:", nil, []string{"fd00::1"}}, // the end of a bare address is no port
		{"fd00", nil, []string{"fd00::1"}},
		{"[fd00:", nil, []string{"[fd00::1]"}},
	} {
		e := config.Endpoint{Hosts: []string{"other.example", test.host}}
		for want, authorities := range map[bool][]string{true: test.is, false: test.not} {
			for _, authority := range authorities {
				if got := matches(e, get(":authority", authority)); got != want {
					t.Errorf("host %q, authority %q: %v", test.host, authority, got)
				}
			}
		}
	}
	if !matches(config.Endpoint{}, request{":method": "GET"}) {
		t.Error("without hosts a request without an authority does not match")
	}
	if matches(config.Endpoint{Hosts: []string{"a"}}, request{":method": "GET"}) {
		t.Error("a request without an authority matches a host")
	}
}

func TestEverythingMustMatch(t *testing.T) {
	t.Parallel()
	e := config.Endpoint{Methods: []string{"GET"}, Hosts: []string{"a"},
		Headers: []config.HeaderMatcher{{Name: "x", Kind: config.Exact, Value: "1"}}}
	for _, test := range []struct {
		name    string
		request request
		want    bool
	}{
		{"all of it", get(":authority", "a", "x", "1"), true},
		{"another method", get(":method", "POST", ":authority", "a", "x", "1"), false},
		{"another host", get(":authority", "b", "x", "1"), false},
		{"another header", get(":authority", "a", "x", "2"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(e, test.request); got != test.want {
				t.Errorf("%s: %v", test.name, got)
			}
		})
	}
}

func TestFirstEndpointWins(t *testing.T) {
	t.Parallel()
	header := func(value string) []config.HeaderMatcher {
		return []config.HeaderMatcher{{Name: "user-agent", Kind: config.Prefix, Value: value}}
	}
	table := NewTable([]config.Endpoint{
		{Paths: []string{"/other"}},
		{Paths: []string{"/hc", "/live"}, Headers: header("ELB")},
		{Paths: []string{"/hc"}, Methods: []string{"HEAD"}},
		{Paths: []string{"/hc"}, Headers: header("ELB-Health")}, // never: the endpoint above it takes all of these
		{Paths: []string{"/hc"}, Hosts: []string{"lb"}},
		{Paths: []string{"/live", "/hc"}, Headers: header("Google")},
	})
	for _, test := range []struct {
		path    string
		request request
		want    int
	}{
		{"/hc", get("user-agent", "ELB-HealthChecker/2.0"), 1},
		{"/hc", get("user-agent", "ELB-HealthChecker/2.0", ":method", "HEAD", ":authority", "lb"), 1},
		{"/hc", get(":method", "HEAD", ":authority", "lb"), 2},
		{"/hc", get(":authority", "lb"), 4},
		{"/hc", get("user-agent", "GoogleHC/1.0"), 5},
		{"/hc?x", get("user-agent", "GoogleHC/1.0"), 5},
		{"/hc", get("user-agent", "curl"), -1},
		{"/live", get("user-agent", "GoogleHC/1.0", ":authority", "lb"), 5},
		{"/live", get(":authority", "lb", ":method", "HEAD"), -1},
		{"/other", get("user-agent", "ELB-HealthChecker/2.0"), 0},
	} {
		t.Run(test.path, func(t *testing.T) {
			if got := table.Find(test.path, test.request); got != test.want {
				t.Errorf("%s %v: %d, want %d", test.path, test.request, got, test.want)
			}
		})
	}
}

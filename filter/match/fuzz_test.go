package match

import (
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

func FuzzFind(f *testing.F) {
	endpoints := []config.Endpoint{
		{Paths: []string{"/my-service/healthcheck"}, Methods: []string{"GET", "HEAD"}},
		{Paths: []string{"/live", "/", "/a%20b"}, Hosts: []string{"lb.example", "[::1]", "a:80"}},
		{Paths: []string{"/live"}, Headers: []config.HeaderMatcher{
			{Name: "user-agent", Kind: config.Prefix, Value: "elb", IgnoreCase: true},
			{Name: "cookie", Kind: config.Absent}}},
		{Paths: []string{"/all"}},
	}
	table := NewTable(endpoints)
	f.Add("/my-service/healthcheck?a", "GET", "localhost", "curl")
	f.Add("/", "", "[::1]:80", "")
	f.Add("/live", "POST", "A:80", "ELB-HealthChecker/2.0")
	f.Add("/all", "\xff", ":", "\xff")
	f.Add("?", "GET", "]:", "")
	f.Fuzz(func(t *testing.T, path, method, authority, agent string) {
		r := request{":method": method, ":authority": authority, "user-agent": agent}
		got := table.Find(path, r)
		bare, _, _ := strings.Cut(path, "?")
		switch {
		case got < -1 || got >= len(endpoints):
			t.Fatalf("%q: %d", path, got)
		case got >= 0 && !slices.Contains(endpoints[got].Paths, bare):
			t.Errorf("%q matches endpoint %d", path, got)
		case got < 0 && bare == "/all":
			t.Errorf("%q matches nothing", path)
		case got == 0 && method != "GET" && method != "HEAD":
			t.Errorf("method %q matches endpoint 0", method)
		case got == 2 && !strings.HasPrefix(strings.ToLower(agent), "elb"):
			t.Errorf("agent %q matches endpoint 2", agent)
		}
		if again := table.Find(bare, r); again != got {
			t.Errorf("%q: %d with its query, %d without", path, got, again)
		}
	})
}

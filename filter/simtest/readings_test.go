package simtest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// These tests send every kind of request after every other one: how the plugin reads one depends on the one before.

// How a request is read depends on the one before it; what it gets does not.
func TestAnswersAmongOtherRequests(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	ours := &hostsim.Request{Path: check, Peer: balancer}
	otherMethod := &hostsim.Request{Method: "POST", Path: check, Peer: balancer}
	withQuery := &hostsim.Request{Path: check + "?verbose", Peer: balancer}
	requests := []*hostsim.Request{ours, withQuery, otherMethod}
	answered := len(requests) - 1
	for _, path := range []string{
		"/", "/shop", "/a/path/longer/than/any/of/an/endpoint's", check[:len(check)-1] + "_", check + "_",
		"/shop?of=" + check, check[:len(check)-1] + "_?verbose", "/" + strings.Repeat("x", 20_000),
	} {
		requests = append(requests, &hostsim.Request{Path: path, Peer: balancer})
	}
	requests = append(requests, &hostsim.Request{Method: "CONNECT", Peer: balancer})
	for _, before := range requests {
		for i, request := range requests {
			s.Worker(0).Do(before)
			if r := s.Worker(0).Do(request); strings.HasPrefix(r.Details, "healthgate_") != (i < answered) {
				t.Errorf("%s %s after %s %s: got %d, details %q",
					request.Method, request.Path, before.Method, before.Path, r.Status, r.Details)
			}
		}
	}
}

// A header that comes several times is one value, however the request is read: that depends on the number of headers
// and on the request before.
func TestHeadersThatComeTwice(t *testing.T) {
	t.Parallel()
	matching := func(matcher string) *sim {
		return newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]},
			"headers": [`+matcher+`]}]}`)
	}
	for _, tt := range []struct {
		matcher  string
		values   []string // of x-check
		answered bool
	}{
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"s3cret"}, true},
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"s3cret", "no"}, false},
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"no", "s3cret"}, false},
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"s3cret", "s3cret"}, false},
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"s3cret", ""}, false},
		{`{"name": "x-check", "exact": "s3cret"}`, []string{"", "s3cret"}, false},
		{`{"name": "x-check", "exact": "a,b,c"}`, []string{"a", "b", "c"}, true},
		{`{"name": "x-check", "exact": "a,b,c"}`, []string{"a,b", "c"}, true},
		{`{"name": "x-check", "exact": ","}`, []string{"", ""}, true},
		{`{"name": "x-check", "prefix": "a,"}`, []string{"a", "b"}, true},
		{`{"name": "x-check", "suffix": ",b"}`, []string{"a", "b"}, true},
		{`{"name": "x-check", "contains": "b"}`, []string{"a", "b", "c"}, true},
		{`{"name": "X-Check", "exact": "a,b", "ignore_case": true}`, []string{"A", "B"}, true},
		{`{"name": "x-check", "present_match": true}`, []string{"", ""}, true},
		{`{"name": "x-check", "present_match": false}`, []string{"", ""}, false},
		{`{"name": "user-agent", "exact": "test"}`, []string{"a", "b"}, true},
	} {
		s := matching(tt.matcher)
		for _, more := range []int{0, 20} {
			for range 2 {
				r := &hostsim.Request{Path: "/hc", Peer: balancer, Header: hostsim.Header{{"user-agent", "test"}}}
				for i, value := range tt.values {
					r.Header = append(r.Header, [2]string{"x-check", value}, [2]string{"x-between-" + strconv.Itoa(i), "s3cret"})
				}
				for i := range more {
					r.Header = append(r.Header, [2]string{"x-more-" + strconv.Itoa(i), "s3cret"})
				}
				if got := s.Worker(0).Do(r); got.Forwarded == tt.answered {
					t.Errorf("%s with %q and %d more headers: got %d, forwarded %v",
						tt.matcher, tt.values, more, got.Status, got.Forwarded)
				}
			}
		}
	}
}

// Whether routes have other metadata makes no difference, nor which of them was chosen before.
func TestRouteMetadataAmongOthers(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	type metadata = map[string]map[string]any
	routes := []metadata{
		nil, {"istio": {"config": "x"}}, {"healthgate": {"owner": "x"}}, {"healthgate": {"maintenance": true}},
	}
	for _, before := range routes {
		for i, route := range routes {
			s.Worker(0).Do(&hostsim.Request{Path: check, Peer: balancer, RouteMetadata: before})
			want := 200
			if i == 3 {
				want = 503
			}
			if r := s.Worker(0).Do(&hostsim.Request{Path: check, Peer: balancer, RouteMetadata: route}); r.Status != want {
				t.Errorf("%v after %v: got %d", route, before, r.Status)
			}
		}
		s.Advance(time.Second)
	}
}

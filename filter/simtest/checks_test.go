package simtest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	for _, tt := range []struct {
		name, method, path string
		status             int
		contentType, body  string
	}{
		{"all alive", "GET", check, 200, "text/plain", "OK"},
		{"HEAD", "HEAD", check, 200, "text/plain", ""},
		{"HAProxy's default method", "OPTIONS", check, 200, "text/plain", "OK"},
		{"a query", "GET", check + "?x=1", 200, "text/plain", "OK"},
		{"an empty reply", "GET", "/healthz", 200, "text/html", ""},
		{"HEAD of an empty reply", "HEAD", "/healthz", 200, "text/html", ""},
	} {
		r := s.Worker(0).Do(&hostsim.Request{Method: tt.method, Path: tt.path, Peer: balancer})
		if r.Status != tt.status || string(r.Body) != tt.body || r.Forwarded || r.Header.Get("content-type") != tt.contentType {
			t.Errorf("%s: got %d %q, forwarded %v, %v", tt.name, r.Status, r.Body, r.Forwarded, r.Header)
		}
		if want := map[bool]string{true: "0", false: "2"}[tt.path == "/healthz"]; r.Header.Get("content-length") != want {
			t.Errorf("%s: got content-length %q, want %s", tt.name, r.Header.Get("content-length"), want)
		}
	}
}

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
		"/", "/shop", "/a/path/longer/than/any/of/an/endpoint's", check[:len(check)-1] + "_", check + "_", "/shop?of=" + check,
		check[:len(check)-1] + "_?verbose", "/" + strings.Repeat("x", 20_000),
	} {
		requests = append(requests, &hostsim.Request{Path: path, Peer: balancer})
	}
	requests = append(requests, &hostsim.Request{Method: "CONNECT", Peer: balancer})
	for _, before := range requests {
		for i, request := range requests {
			s.Worker(0).Do(before)
			if r := s.Worker(0).Do(request); r.Forwarded != (i >= answered) {
				t.Errorf("%s %s after %s %s: got %d, details %q", request.Method, request.Path, before.Method, before.Path, r.Status, r.Details)
			}
		}
	}
}

func TestPasses(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	for _, tt := range []struct {
		name, path, peer string
		header           hostsim.Header
	}{
		{name: "another path", path: "/shop"},
		{name: "two slashes", path: "//my-service/healthcheck"},
		{name: "another case", path: "/my-service/Healthcheck"},
		{name: "percent-encoded", path: "/my-service/%68ealthcheck"},
		{name: "a trailing slash", path: check + "/"},
		{name: "a path parameter", path: check + ";a=b"},
		{name: "an untrusted source", path: check, peer: "192.0.2.1:40000"},
		{name: "an untrusted source that forges X-Forwarded-For", path: check, peer: "192.0.2.1:40000",
			header: hostsim.Header{{"x-forwarded-for", "10.9.9.9"}}},
		{name: "a trusted source behind X-Forwarded-For", path: check, peer: balancer,
			header: hostsim.Header{{"x-forwarded-for", "10.9.9.9"}}},
	} {
		if tt.peer == "" {
			tt.peer = balancer
		}
		r := s.Worker(0).Do(&hostsim.Request{Path: tt.path, Peer: tt.peer, Header: tt.header})
		if !r.Forwarded || r.Upstream == nil || r.Upstream.Path() != tt.path || r.Details != "via_upstream" {
			t.Errorf("%s: got %d %q, details %q", tt.name, r.Status, r.Body, r.Details)
		}
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	with := func(trusted string) string {
		return `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": ` + trusted + `}]}`
	}
	for _, tt := range []struct {
		name, trusted, peer string
		forwardedFor        string
		filterState         map[string]string
		answered            bool
	}{
		{"IPv4", `{"cidrs": ["10.0.0.0/8"]}`, "10.1.2.3:1", "", nil, true},
		{"IPv6", `{"cidrs": ["fd00::/8"]}`, "[fd00::1]:1", "", nil, true},
		{"IPv4-mapped", `{"cidrs": ["10.0.0.0/8"]}`, "[::ffff:10.1.2.3]:1", "", nil, true},
		{"a provider", `{"providers": ["gcp"]}`, "35.191.0.7:1", "", nil, true},
		{"forwarded, on purpose", `{"cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, "192.0.2.1:1", "10.9.9.9", nil, true},
		{"forwarded, untrusted", `{"cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, "10.1.2.3:1", "192.0.2.1", nil, false},
		{"filter state", `{"cidrs": ["10.0.0.0/8"], "peer": {"filter_state": "lb"}}`, "192.0.2.1:1", "",
			map[string]string{"lb": "10.9.9.9"}, true},
		{"no filter state", `{"cidrs": ["10.0.0.0/8"], "peer": {"filter_state": "lb"}}`, "10.1.2.3:1", "", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, with(tt.trusted))
			request := &hostsim.Request{Path: "/hc", Peer: tt.peer, FilterState: tt.filterState}
			if tt.forwardedFor != "" {
				request.Header = hostsim.Header{{"x-forwarded-for", tt.forwardedFor}}
			}
			if r := s.Worker(0).Do(request); r.Forwarded == tt.answered {
				t.Errorf("got %d, forwarded %v", r.Status, r.Forwarded)
			}
		})
	}
}

// A header that comes several times is one value, however the request is read: that depends on the number of headers and
// on the request before.
func TestHeadersThatComeTwice(t *testing.T) {
	t.Parallel()
	matching := func(matcher string) *sim {
		return newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]}, "headers": [`+matcher+`]}]}`)
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
					t.Errorf("%s with %q and %d more headers: got %d, forwarded %v", tt.matcher, tt.values, more, got.Status, got.Forwarded)
				}
			}
		}
	}
}

// What an operator calls host, Envoy calls :authority.
func TestHostMatcher(t *testing.T) {
	t.Parallel()
	s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]},
		"headers": [{"name": "Host", "exact": "lb.example:80"}]}]}`)
	for i, host := range []string{"lb.example:80", "lb.example:80", "shop.example", "lb.example:80", "shop.example", "shop.example"} {
		r := s.Worker(0).Do(&hostsim.Request{Path: "/hc", Peer: balancer, Authority: host})
		if r.Forwarded != (host == "shop.example") {
			t.Errorf("request %d for %s: got %d, forwarded %v", i, host, r.Status, r.Forwarded)
		}
	}
}

func TestUntrustedReply(t *testing.T) {
	t.Parallel()
	s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]},
		"untrusted": {"action": "reply", "status": 404, "body": "no", "headers": {"X-Why": "you"}}}]}`)
	r := s.Worker(0).Do(&hostsim.Request{Path: "/hc", Peer: "192.0.2.1:1"})
	if r.Status != 404 || string(r.Body) != "no" || r.Header.Get("x-why") != "you" || r.Details != "healthgate_untrusted" {
		t.Errorf("got %d %q %v %q", r.Status, r.Body, r.Header, r.Details)
	}
}

// TestReplyHeaders: Envoy takes the headers of a reply without a body, which are put back, and gives text/plain to a body
// without a content-type, which is taken away. Its own form of a reply to a gRPC request stays as it is.
func TestReplyHeaders(t *testing.T) {
	t.Parallel()
	s := newSim(t, `{"endpoints": [
		{"name": "typed", "paths": ["/typed"], "methods": [], "trusted": {"cidrs": ["10.0.0.0/8"]}},
		{"name": "untyped", "paths": ["/untyped"], "methods": [], "trusted": {"cidrs": ["10.0.0.0/8"]},
			"healthy": {"content_type": "", "headers": {"x-a": "b"}}},
		{"name": "body", "paths": ["/body"], "methods": [], "trusted": {"cidrs": ["10.0.0.0/8"]},
			"healthy": {"body": "OK", "content_type": ""}},
		{"name": "none", "paths": ["/none"], "methods": [], "trusted": {"cidrs": ["10.0.0.0/8"]}, "healthy": {"status": 204}}]}`)
	const grpc = "application/grpc"
	for _, tt := range []struct{ method, path, sent, contentType, length string }{
		{"GET", "/typed", "", "text/html", "0"},
		{"GET", "/untyped", "", "", "0"},
		{"GET", "/body", "", "", "2"},
		{"HEAD", "/body", "", "", "2"},
		{"GET", "/none", "", "text/html", ""},
		{"POST", "/typed", grpc, grpc, "0"}, // the length is the codec's
		{"POST", "/untyped", grpc + "+proto", grpc, "0"},
		{"POST", "/body", grpc, grpc, "0"},
		{"POST", "/none", grpc, grpc, "0"},
		{"POST", "/typed", grpc + "-web", "text/html", "0"},
	} {
		r := s.Worker(0).Do(&hostsim.Request{Method: tt.method, Path: tt.path, Peer: balancer, Header: hostsim.Header{{"content-type", tt.sent}}})
		if r.Forwarded || r.Header.Get("content-type") != tt.contentType || r.Header.Get("content-length") != tt.length ||
			r.Header.Has("content-type") != (tt.contentType != "") || r.Header.Has("grpc-status") != (tt.contentType == grpc) {
			t.Errorf("%s %s %s: got %d, %q, forwarded %v; want content-type %q and content-length %q", tt.method, tt.path, tt.sent,
				r.Status, r.Header, r.Forwarded, tt.contentType, tt.length)
		}
	}
}

// TestFailsInAnotherWay: what a check gets changes, and whatever says why changes with it.
func TestFailsInAnotherWay(t *testing.T) {
	t.Parallel()
	s := newReady(t, withStatus, hostsim.Workers(2))
	s.set("/outbound/isalive", 500)
	s.Advance(12 * time.Second)
	s.want(check, 500, "FAILED", "healthgate_unhealthy")
	s.wantStatus(503, "fail", "my-service: outbound (500) failing; 2 of 3 healthy, 3 needed")
	s.FaultAllCallouts("app", &hostsim.CalloutFault{Kind: hostsim.CalloutNever})
	s.Advance(2 * time.Second)
	s.want(check, 503, "FAILED", "healthgate_unhealthy")
	d := s.wantStatus(503, "fail", "my-service: inbound (timeout), outbound (timeout), stats (timeout) failing; 0 of 3 healthy, 3 needed")
	if c := d.Checks["outbound:responseTime"][0]; c.Outcome != "timeout" || c.HTTPStatus != 0 || c.Output != "timeout" {
		t.Errorf("%+v", c)
	}
	if n := strings.Count(s.LogText(), `probe "outbound": still unhealthy: timed out after 500ms, counts as 503`); n != 1 {
		t.Errorf("logged %d times:\n%s", n, s.LogText())
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  *hostsim.CalloutFault
		status int // of the node outbound
		want   int
		log    string
	}{
		{name: "an error", status: 500, want: 500, log: `status 500`},
		{name: "its own 504", status: 504, want: 504, log: `status 504`},
		{name: "a status that HTTP does not have", status: 999, want: 503, log: `status 999`},
		{name: "a redirect is no success, and no reply", status: 302, want: 503, log: `status 302`},
		{name: "refused", fault: &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure}, want: 503,
			log: `no response: remote connection failure, counts as 503`},
		{name: "failed at once", fault: &hostsim.CalloutFault{Kind: hostsim.CalloutInlineFailure}, want: 503,
			log: `no healthy host, or an open circuit breaker, in cluster "app", counts as 503`},
		{name: "reset", fault: &hostsim.CalloutFault{Kind: hostsim.CalloutReset}, want: 503, log: `reset within the response, counts as 503`},
		{name: "hanging", fault: &hostsim.CalloutFault{Kind: hostsim.CalloutNever}, want: 503,
			log: `timed out after 500ms, counts as 503`},
		{name: "never answered, not even by Envoy", fault: &hostsim.CalloutFault{Kind: hostsim.CalloutLost}, want: 503,
			log: `was never answered, counts as 503`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newReady(t, watchdog, hostsim.Workers(2))
			s.wantHealthy()
			seen := len(s.stateLog())
			s.set("/outbound/isalive", tt.status)
			if tt.fault != nil {
				s.FaultAllCallouts("app", tt.fault)
			}
			s.Advance(3 * time.Second) // interval, timeout, and the second after which silence counts as a loss
			s.want(check, tt.want, "FAILED", "healthgate_unhealthy")
			want := `warning probe "outbound": unhealthy: ` + tt.log
			if log := strings.Join(s.stateLog()[seen:], "\n"); strings.Count(log, want) != 1 {
				t.Errorf("log:\n%s\nwant once: %s", log, want)
			}
			s.set("/outbound/isalive", 200)
			s.FaultAllCallouts("app", nil)
			s.Advance(3 * time.Second)
			s.wantHealthy()
		})
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy string
		down   int // how many of the three nodes
		status int
	}{
		{`"all"`, 0, 200}, {`"all"`, 1, 500}, {`"any"`, 2, 200}, {`"any"`, 3, 500},
		{`{"at_least": 2}`, 1, 200}, {`{"at_least": 2}`, 2, 500},
	} {
		s := newSim(t, strings.Replace(watchdog, `"all"`, tt.policy, 1))
		for _, node := range []string{"/inbound/isalive", "/outbound/isalive", "/stats/isalive"}[:tt.down] {
			s.set(node, 500)
		}
		s.Advance(settle)
		if r := s.ask(0, check); r.Status != tt.status {
			t.Errorf("%s with %d down: got %d, want %d", tt.policy, tt.down, r.Status, tt.status)
		}
	}
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	s := newReady(t, strings.Replace(watchdog, `"/inbound/isalive"}`,
		`"/inbound/isalive", "unhealthy_threshold": 3, "healthy_threshold": 2}`, 1))
	status := func() (out []int) {
		for range 4 {
			s.Advance(time.Second)
			out = append(out, s.ask(0, check).Status)
		}
		return out
	}
	s.set("/inbound/isalive", 500)
	if got := status(); got[0] != 200 || got[1] != 200 || got[2] != 500 || got[3] != 500 {
		t.Errorf("failing: got %v, want 200 twice, then 500", got)
	}
	s.set("/inbound/isalive", 200)
	if got := status(); got[0] != 500 || got[1] != 200 {
		t.Errorf("well again: got %v, want 500 once, then 200", got)
	}
}

func TestUnknownUntilEveryProbeWasSeen(t *testing.T) {
	t.Parallel()
	s := newSim(t, watchdog, hostsim.Workers(2))
	s.wantUnknown()
	s.want("/healthz", 503, "UNKNOWN", "healthgate_unknown") // Envoy may have started drained
	s.SetLatency("app", 400*time.Millisecond)
	s.Advance(settle)
	s.wantUnknown()
	s.want("/healthz", 200, "", "healthgate_healthy") // it has no probes
	s.Advance(400 * time.Millisecond)
	s.wantHealthy()
}

func TestHealthyPass(t *testing.T) {
	t.Parallel()
	s := newReady(t, strings.Replace(watchdog, `{"body": "OK", "content_type": "text/plain"}`, `{"action": "pass"}`, 1),
		hostsim.Application(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })))
	if r := s.ask(0, check); r.Status != 299 || !r.Forwarded {
		t.Errorf("got %d, forwarded %v", r.Status, r.Forwarded)
	}
	s.wantMetric("healthgate_checks_total.endpoint.my-service.verdict.passed", 1)
}

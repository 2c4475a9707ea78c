package order

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/lifecycle"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/verdict"
)

// An instance is not begun to be shut down where that can't come about.
func TestStays(t *testing.T) {
	t.Parallel()
	const both = `"admin": {"cluster": "adm"`
	for _, test := range []struct {
		name, old, text, key, open, want string
	}{
		{"all is well", "", "", "", "", ""},
		{"draining is ignored", both, both + `, "draining": "ignore"`, "", "", `"a" does not see that Envoy drains`},
		{"a key of one", "", "", "k", "", `the key k does not switch the endpoint "b"`},
		{"a key of both", `"name": "b"`, `"name": "b", "maintenance": {"keys": ["k"]}`, "k", "", ""},
		{"one is to stay open", "", "", "k", "b", ""},
		{"another is to stay open", "", "", "k", "a", `the key k does not switch the endpoint "b"`},
		{"none has the name", `"name": "b"`, `"name": "b", "maintenance": {"keys": ["k"]}`, "k", "c",
			`it has no health check "c" to keep open`},
		{"no metrics", `{"layered_runtime"`,
			`{"stats_config": {"stats_matcher": {"reject_all": true}}, "layered_runtime"`, "", "",
			"its stats_matcher leaves out the plugin's metrics"},
		{"no requests", `{"layered_runtime"`,
			`{"stats_config": {"stats_matcher": {"exclusion_list": {"patterns": [{"suffix": ".downstream_rq_active"}]}}},
				"layered_runtime"`, "", "", "how many requests run would not be known: its stats_matcher leaves out http."},
		{"no plugin", "filters.http.wasm", "filters.http.lua", "", "", "its configuration has no health check of healthgate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var edits []string
			if test.old != "" {
				edits = []string{test.old, test.text}
			}
			e := &Envoy{known: read(t, edits...), key: test.key}
			if got := e.Stays(test.key != "", test.open); !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	e := &Envoy{unknown: net.ErrClosed}
	if got := e.Stays(false, ""); got != "its configuration can't be read: use of closed network connection" {
		t.Errorf("not known: %q", got)
	}
	e = &Envoy{known: read(t), unseen: net.ErrClosed}
	if got := e.Stays(false, ""); got != "what the plugin does would not be known: use of closed network connection" {
		t.Errorf("no metrics: %q", got)
	}
}

// A metric that a stats_matcher leaves out is not one that is 0.
func TestNotShown(t *testing.T) {
	t.Parallel()
	const running = "http.in_80.downstream_rq_active"
	for _, hidden := range []string{"", running, report.Checks + "a.verdict.healthy",
		report.Checks + "b.verdict.draining"} {
		t.Run(hidden, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				metrics := []string{running, "http.other.downstream_rq_active"}
				for k := range verdict.Kind(verdict.Kinds) {
					for _, endpoint := range []string{"a", "b"} {
						metrics = append(metrics, report.Checks+endpoint+".verdict."+k.String())
					}
				}
				for _, metric := range metrics {
					if metric != hidden {
						_, _ = w.Write([]byte(metric + ": 0\n"))
					}
				}
			}))
			defer server.Close()
			e := &Envoy{client: must.Get(admin.New(server.URL, admin.Access{}))(t),
				known: read(t, `"http_filters"`, `"stat_prefix": "in:80", "http_filters"`)}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			said := ""
			for _, wait := range []func() error{
				func() error { return e.WaitIdle(ctx) },
				func() error {
					_, err := e.WaitChecks(ctx, &lifecycle.Checks{Need: 1, Quiet: time.Millisecond}, false)
					return err
				},
			} {
				if err := wait(); err != nil {
					said += err.Error()
				}
			}
			if said != "" && hidden == "" || !strings.Contains(said, hidden) {
				t.Errorf("%q", said)
			}
		})
	}
}

// A listener may share the gauge of Envoy's admin, where the question itself is a request that runs.
func TestIdleBesideAdmin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefix string
		of     [2]int // requests that run, of admin and of the listener
		want   string
	}{
		{"in", [2]int{3, 0}, ""},
		{"in", [2]int{1, 1}, "requests that run: 1"},
		{"admin", [2]int{1, 0}, ""},
		{"admin", [2]int{1, 1}, "requests that run: 1"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			running := map[string]int{}
			running["admin"] += test.of[0]
			running[test.prefix] += test.of[1]
			for prefix, n := range running {
				fmt.Fprintf(w, "http.%s%s: %d\n", prefix, active, n)
			}
		}))
		defer server.Close()
		e := &Envoy{client: must.Get(admin.New(server.URL, admin.Access{}))(t),
			known: read(t, `"http_filters"`, `"stat_prefix": "`+test.prefix+`", "http_filters"`)}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		said := ""
		if err := e.WaitIdle(ctx); err != nil {
			said = err.Error()
		}
		if said != test.want {
			t.Errorf("%+v: %q", test, said)
		}
	}
}

// A load balancer keeps an Envoy whose reply is no failure, or may become none, or may be another one's.
func TestPast(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string][2]string{
		`the endpoint "b" answers 200 while Envoy drains: a load balancer that looks at the status keeps the instance`: {
			`"name": "b"`, `"name": "b", "draining": {"status": 200}`},
		`the filter "odd" stands before healthgate, and whether it answers checks of /a is not known`: {
			`"http_filters": [`, `"http_filters": [{"name": "odd", "typed_config": {"@type": "x.Odd"}}, `},
		`its local_reply_config may make 200 of the status that healthgate answers`: {`"http_filters": [`,
			`"local_reply_config": {"mappers": [{"status_code": 200}]}, "http_filters": [`},
	} {
		e := &Envoy{known: read(t, edit[0], edit[1])}
		if got := strings.Join(e.Past(), "; "); !strings.Contains(got, want) || strings.Contains(got, `"a" answers`) {
			t.Error(got)
		}
	}
}

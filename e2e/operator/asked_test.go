package operator

import (
	"github.com/healthgate/healthgate/envoy/must"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestStatusSaysWhatIsKnown: status shows what the asked Envoy is known to answer, and names what keeps it from
// knowing.
func TestStatusSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	noMetrics := func(c *envoytest.Config) {
		envoytest.At[envoytest.Object](c.Bootstrap, "stats_config")["stats_matcher"] = envoytest.Object{
			"exclusion_list": envoytest.Object{"patterns": []any{envoytest.Object{"prefix": "wasmcustom"}}}}
	}
	const silent = "its stats_matcher leaves out the plugin's metrics"
	for _, test := range []struct {
		name      string
		edit      func(*envoytest.Config, *envoytest.Listener)
		verdict   string // of my-service
		source    string
		says      []string
		unhealthy bool // --expect healthy fails
	}{
		{"all", func(*envoytest.Config, *envoytest.Listener) {}, "healthy", "plugin",
			[]string{"2 of 2 health checks healthy"}, false},
		{"no such admin.cluster", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(s envoytest.Object) { envoytest.At[envoytest.Object](s, "admin")["cluster"] = "gone" })
		}, "unknown", "plugin", []string{"health checks failing", `admin.cluster is "gone", and Envoy has no such cluster`},
			true},
		{"no such admin.cluster, and no status endpoint", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(s envoytest.Object) {
				envoytest.At[envoytest.Object](s, "admin")["cluster"] = "gone"
				s["endpoints"] = s["endpoints"].([]any)[:2]
			})
		}, "unknown", "gauges",
			[]string{"2 of 2 health checks failing", `admin.cluster is "gone"`, "it has no status endpoint"}, true},
		{"no metrics", func(c *envoytest.Config, _ *envoytest.Listener) {
			noMetrics(c)
			envoytest.At[envoytest.Object](c.Bootstrap, "node")["id"] = "shop-7"
		}, "", "", []string{"2 of 2 health checks not known", silent, "whether this Envoy answered is not known"}, true},
		{"this machine is not trusted", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(s envoytest.Object) {
				envoytest.At[envoytest.Object](s, "endpoints", 2)["trusted"] = envoytest.Object{"cidrs": []any{"10.0.0.0/8"}}
			})
		}, "healthy", "gauges", []string{"went on to the application", "is 127.0.0.1 in the endpoint's trusted list?"},
			false},
		{"this machine is refused", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(s envoytest.Object) {
				status := envoytest.At[envoytest.Object](s, "endpoints", 2)
				status["trusted"] = envoytest.Object{"cidrs": []any{"10.0.0.0/8"}}
				status["untrusted"] = envoytest.Object{"action": "reply"}
			})
		}, "healthy", "gauges", []string{"the plugin does not trust 127.0.0.1 there: 403 Forbidden"}, false},
		{"no route", func(_ *envoytest.Config, l *envoytest.Listener) { l.SetRoutes(l.Routes()[:3]) }, "healthy", "gauges",
			[]string{"no route of Envoy's takes its host and path: 404 Not Found", "200 healthy, not for sure"}, true},
		{"a shut gate", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.SetRoutes(append(l.Routes()[:3:3], last(l)))
		}, "healthy", "gauges",
			[]string{"went on to the application", "the gate keeps it out of the plugin", "not for sure"}, true},
		{"a filter in front, disabled by routes", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.HCM()["http_filters"] = append([]any{lua(`function envoy_on_request(h) h:respond({[":status"] = "418"}, "") end`)},
				l.Filters()...)
			for _, route := range l.Routes() {
				route := route.(envoytest.Object)
				if route["typed_per_filter_config"] == nil {
					route["typed_per_filter_config"] = envoytest.Object{}
				}
				envoytest.At[envoytest.Object](route, "typed_per_filter_config")["lua"] = envoytest.Any(
					"envoy.config.route.v3.FilterConfig", envoytest.Object{"disabled": true})
			}
		}, "healthy", "plugin", []string{"2 of 2 health checks healthy  no check seen  healthgate-1"}, false},
		{"a second status endpoint", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(s envoytest.Object) {
				second := envoytest.Clone(envoytest.At[envoytest.Object](s, "endpoints", 2))
				second["name"], second["paths"] = "second", []any{"/second"}
				envoytest.At[envoytest.Object](s, "endpoints", 2)["trusted"] = envoytest.Object{"cidrs": []any{"10.0.0.0/8"}}
				s["endpoints"] = append(s["endpoints"].([]any), second)
			})
			gate := envoytest.Clone(l.Routes()[2].(envoytest.Object))
			envoytest.At[envoytest.Object](gate, "match")["path"] = "/second"
			l.SetRoutes(append([]any{gate}, l.Routes()...))
		}, "healthy", "plugin", []string{"/healthgate/status does not tell: the request went on to the application"}, false},
		{"a second plugin", func(c *envoytest.Config, _ *envoytest.Listener) {
			second := c.AddListener("second")
			second.Change(func(s envoytest.Object) {
				envoytest.At[envoytest.Object](s, "endpoints", 0)["maintenance"] = envoytest.Object{"keys": []any{"second.key"}}
			})
			envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")["second.key"] = true
		}, "healthy", "plugin",
			[]string{"my-service (ingress)  200 healthy", "my-service (second)   503 maintenance",
				"1 of 4 health checks in maintenance"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := app.Start(t)
			c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
			test.edit(c, c.Listener("ingress"))
			envoytest.Start(t, c, 1)
			admin := envoytest.Loopback(c.AdminPort)
			envoytest.Eventually(t, envoytest.Limit, "the verdict "+test.verdict, func() error {
				e := parse(t, run(t, "status", "-o", "json", "--admin", admin).stdout)[0].Endpoints
				if len(e) < 2 || e[0].Name != "my-service" || e[0].Verdict != test.verdict || e[0].Source != test.source {
					return io.EOF
				}
				return nil
			})
			out := run(t, "status", "--admin", admin)
			out.is(t, 0, test.says...)
			notes := map[string]bool{}
			for line := range strings.SplitSeq(out.stdout, "\n") {
				if strings.HasPrefix(line, "  note: ") && notes[line] {
					t.Errorf("twice: %s", line)
				}
				notes[line] = true
			}
			if test.unhealthy {
				run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "not as expected: "+admin+": ")
			} else {
				checking(t, c.Listener("ingress").Address())
				run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 0)
			}
		})
	}
}

// What another Envoy answers at the address of the asked one's listener, as where admin is a forwarded port, is not
// shown for its state, whatever its id.
func TestStatusOfAnotherEnvoy(t *testing.T) {
	t.Parallel()
	i, j := start(t), start(t)
	other := start(t, "--node-id", "other")
	j.app.Answer("/stats/isalive", 500)
	j.eventually(t, 500, "FAILED")
	forward := func(listen string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := i.envoy.Get(r.URL.RequestURI())
			if r.URL.Path == "/config_dump" {
				from, to := port(i.listen), port(listen)
				body = strings.ReplaceAll(body, `"port_value": `+from, `"port_value": `+to)
			}
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for _, test := range []struct{ listen, why string }{
		{j.listen, `another Envoy with the same id answered, "healthgate-1": this one was not asked`},
		{other.listen, `the node "other" answered, which is another Envoy`},
		{envoytest.Loopback(must.Port(t)), "connection refused"},
	} {
		admin := forward(test.listen)
		out := run(t, "status", "--admin", admin)
		out.is(t, 0, test.why, "my-service  200 healthy, not for sure  by its gauges")
		if strings.Contains(out.stdout, "500 unhealthy") {
			t.Errorf("it shows another Envoy's state:\n%s", out.stdout)
		}
	}
	out := run(t, "status", "--admin", forward(i.listen))
	if out.is(t, 0, "2 of 2 health checks healthy"); strings.Contains(out.stdout, "gauges") {
		t.Errorf("its own status is not taken:\n%s", out.stdout)
	}
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

package operator

import (
	"cmp"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// checking has a load balancer check both health checks at a listener until the test ends.
func checking(t *testing.T, listener string) {
	t.Helper()
	envoytest.Repeat(t, 200*time.Millisecond, func() {
		for _, path := range []string{check, "/healthz"} {
			request := must.Get(http.NewRequest(http.MethodGet, "http://"+listener+path, nil))(t)
			_, _ = envoytest.Read(envoytest.Client.Do(request)) // which may be refused
		}
	})
}

// TestSeen: a verdict is what the plugin would answer, and is for sure once a check was seen that got it.
func TestSeen(t *testing.T) {
	t.Parallel()
	withoutStatus := func(c *envoytest.Config, change func(settings envoytest.Object)) {
		c.Listener("ingress").Change(func(s envoytest.Object) {
			var left []any
			for _, e := range s["endpoints"].([]any) {
				if e.(envoytest.Object)["kind"] != "status" {
					left = append(left, e)
				}
			}
			s["endpoints"] = left
			change(s)
		})
	}
	for _, test := range []struct {
		name  string
		edit  func(c *envoytest.Config)
		begin func(t *testing.T, url string)
		// What is said when checks get something else, and before one comes where that is more than that none does.
		wrong, unasked string
	}{
		{"checks that get it", func(*envoytest.Config) {}, nil, "", ""},
		{"by gauges", func(c *envoytest.Config) { withoutStatus(c, func(envoytest.Object) {}) }, nil, "", ""},
		{"the plugin's admin answers nothing", func(c *envoytest.Config) {
			c.AddCluster("nobody", must.Port(t))
			withoutStatus(c, func(s envoytest.Object) { envoytest.At[envoytest.Object](s, "admin")["cluster"] = "nobody" })
		}, nil, "not for sure: the last check that was seen got another verdict: unknown",
			`its requests for runtime, through the cluster "nobody", fail`},
		{"connections are limited", func(c *envoytest.Config) {
			withoutStatus(c, func(envoytest.Object) {})
			const limit = "envoy.resource_limits.listener.ingress.connection_limit"
			envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")[limit] = 1
		}, func(t *testing.T, url string) { kept(t, url)("the check that keeps the connection", http.StatusOK) },
			"my-service  200 healthy, no check seen", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
			test.edit(c)
			_, admin := startRecorded(t, c, 1)
			if test.begin != nil {
				test.begin(t, "http://"+c.Listener("ingress").Address()+check)
			}
			expect := []string{"status", "--admin", admin, "--expect", "my-service=healthy", "--wait"}
			run(t, append(expect, "100ms")...).is(t, 1, cmp.Or(test.unasked, "my-service  200 healthy, no check seen"),
				cmp.Or(test.unasked, "my-service is healthy by all that is known, and no check was seen to get that"))
			checking(t, c.Listener("ingress").Address())
			if test.wrong != "" {
				run(t, append(expect, "1s")...).is(t, 1, test.wrong)
				return
			}
			run(t, append(expect, "30s")...).is(t, 0, "my-service  200 healthy  ")
			if e := parse(t, run(t, "status", "--admin", admin, "-o", "json").stdout)[0].Endpoints; !e[0].CheckSeen {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestNotAsItWas: what status says of one endpoint is not older than its wait for a check of another.
func TestNotAsItWas(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	envoy, admin := envoytest.Start(t, c, 1), envoytest.Loopback(c.AdminPort)
	url := "http://" + c.Listener("ingress").Address()
	gets := func(want int) {
		envoytest.Eventually(t, envoytest.Limit, "the verdict", func() error {
			if status, body := get(t, url+check, ""); status != want {
				return fmt.Errorf("%d %s", status, body)
			}
			return nil
		})
	}
	gets(http.StatusOK)
	ended := make(chan result)
	go func() {
		ended <- run(t, "status", "--admin", admin, "--expect", "middleware=healthy", "--wait", "2m")
	}()
	envoy.Grows("wasmcustom.healthgate_checks_total.endpoint.status.verdict.shown", 1) // the command has asked
	a.Answer("/stats/isalive", http.StatusInternalServerError)
	gets(http.StatusInternalServerError)
	stop := envoytest.Repeat(t, 200*time.Millisecond, func() { get(t, url+"/healthz", "") })
	r := <-ended
	stop() // before the test's end cuts a request off
	r.is(t, 0, "my-service  500 unhealthy", "middleware  200 healthy  ")
}

package operator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// own is an Envoy with listeners of their own for checks and for Prometheus.
type own struct {
	bootstrap, users, checks, metrics, admin string
}

// newOwn renders one, and merges the listener for checks into it. That for Prometheus is rendered or merged.
func newOwn(t *testing.T, merge bool) *own {
	t.Helper()
	folder := t.TempDir()
	o := &own{bootstrap: filepath.Join(folder, "envoy.yaml")}
	for _, address := range []*string{&o.users, &o.checks, &o.metrics, &o.admin} {
		*address = envoytest.Loopback(must.Port(t))
	}
	file := filepath.Join(folder, "healthgate.yaml")
	must.Write(t, file, merged)
	application := app.Serve(t, http.HandlerFunc(echo))
	first := []string{"render", "envoy", file, "-o", o.bootstrap, "--wasm", envoytest.Wasm(t), "--listen", o.users,
		"--admin", o.admin, "--cluster", "app=" + envoytest.Loopback(application.Port), "--runtime-dir", ""}
	then := []string{"render", "envoy", file, "-o", o.bootstrap, "--wasm", envoytest.Wasm(t), "--into", o.bootstrap,
		"--listen", o.checks}
	if merge {
		then = append(then, "--metrics-listen", o.metrics)
	} else {
		first = append(first, "--metrics-listen", o.metrics)
	}
	run(t, first...).is(t, 0)
	run(t, then...).is(t, 0)
	if merge {
		then[len(then)-1] = o.users
		run(t, then...).is(t, 2, "change it here")
	}
	run(t, "lint", o.bootstrap, file).is(t, 0)
	return o
}

// start starts an Envoy, and waits for its answer to checks.
func (o *own) start(t *testing.T, args ...string) {
	t.Helper()
	_, log := envoytest.Program(t, exec.Command(envoytest.Binary(t), append([]string{"-c", o.bootstrap,
		"--concurrency", "2", "-l", "warning"}, args...)...))
	envoytest.Eventually(t, envoytest.StartLimit, "a healthy check", func() error {
		got, err := ask(t, "127.0.0.1", o.checks, "", "GET /healthz")
		if err != nil || got.Status != 200 {
			return fmt.Errorf("%v %w\n%s", got, err, log.Tail(20))
		}
		return nil
	})
}

// TestMetricsListener: Prometheus gets its page and, whoever reaches the listener, nothing else of admin.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	for _, merge := range []bool{false, true} {
		t.Run("merged "+strconv.FormatBool(merge), func(t *testing.T) {
			t.Parallel()
			o := newOwn(t, merge)
			o.start(t, "--disable-hot-restart")
			for _, request := range []string{"GET /stats/prometheus", "GET /stats/prometheus?filter=%5Ewasm&usedonly"} {
				got, err := ask(t, "127.0.0.2", o.metrics, "prometheus", request)
				if err != nil || got.Status != 200 || !strings.Contains(got.Body, "\nhealthgate_probe_up{probe=\"app\"} 1\n") {
					t.Errorf("%s: %v %v", request, got, err)
				}
			}
			for _, request := range []string{"POST /stats/prometheus", "PUT /stats/prometheus", "DELETE /stats/prometheus",
				"HEAD /stats/prometheus", "OPTIONS /stats/prometheus", "POST /stats/prometheus x-http-method-override=GET",
				"GET /stats/prometheus/", "GET /stats/prometheus/../../runtime", "GET //stats/prometheus", "GET /stats",
				"GET /STATS/PROMETHEUS", "GET /stats/prometheus%3f", "GET /stats/prometheus;x", "GET /stats/prometheus/..;/runtime",
				"GET /runtime", "GET /config_dump", "GET /server_info", "GET /ready", "GET /help", "GET /", "GET /healthz",
				"GET /runtime x-envoy-original-path=/stats/prometheus", "POST /runtime_modify?healthgate.maintenance=true",
				"POST /healthcheck/fail", "POST /drain_listeners", "POST /reset_counters", "POST /logging?level=off",
				"POST /quitquitquit"} {
				got, err := ask(t, "127.0.0.1", o.metrics, "prometheus", request)
				if err != nil || got.Status != 404 || got.Body != "" {
					t.Errorf("%s: %v %v", request, got, err)
				}
			}
			if got, err := ask(t, "127.0.0.1", o.checks, "", "GET /healthz"); err != nil || got.Status != 200 {
				t.Errorf("thereafter a check gets %v %v", got, err)
			}
		})
	}
}

// keeper is a load balancer that keeps its connection.
type keeper struct {
	t     *testing.T
	url   string
	dials atomic.Int32
	http.Client
}

func newKeeper(t *testing.T, address string) *keeper {
	k := &keeper{t: t, url: "http://" + address + "/healthz"}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		k.dials.Add(1)
		return envoytest.DialerFrom("127.0.0.1", envoytest.Limit).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	k.Transport = transport
	return k
}

// gets returns a condition for Eventually: the next check gets this answer.
func (k *keeper) gets(want string) func() error {
	return func() error {
		a, err := envoytest.Read(k.Get(k.url))
		if got := a.Said(); err != nil || got != want {
			return fmt.Errorf("%s, not %s, %w", got, want, err)
		}
		return nil
	}
}

// TestKeptConnection: a balancer that keeps its connection sees maintenance also while listeners drain. When another
// Envoy takes over, it sees it where each check has a new connection; where it has not, it goes on to ask the old one.
func TestKeptConnection(t *testing.T) {
	t.Parallel()
	o := newOwn(t, false)
	base := filepath.Join(t.TempDir(), "base")
	const drain = "1000000" // in seconds: at first, hardly an answer ends a connection that drains
	o.start(t, "--use-dynamic-base-id", "--base-id-path", base, "--drain-time-s", drain)
	users, checks := newKeeper(t, o.users), newKeeper(t, o.checks)
	for range 3 {
		envoytest.Eventually(t, envoytest.Limit, "users' listener", users.gets("200 "))
		envoytest.Eventually(t, envoytest.Limit, "checks' listener", checks.gets("200 "))
	}
	if users.dials.Load() != 1 || checks.dials.Load() < 3 {
		t.Errorf("%d and %d connections, want one, and one for each check", users.dials.Load(), checks.dials.Load())
	}
	id := must.Get(os.ReadFile(base))(t)
	o.start(t, "--base-id", string(id), "--restart-epoch", "1", "--drain-time-s", drain,
		"--parent-shutdown-time-s", "600")
	envoytest.Eventually(t, envoytest.Limit, "the new Envoy's admin", func() error {
		got, err := ask(t, "127.0.0.1", o.admin, "", "GET /stats?filter=hot_restart_generation")
		if err != nil || !strings.Contains(got.Body, "generation: 2") {
			return fmt.Errorf("%v %w", got, err)
		}
		return nil
	})
	maintenance := func(how string, by ...string) {
		t.Helper()
		run(t, append([]string{"maintenance", how, "--admin", o.admin, "--wait", envoytest.Limit.String()},
			by...)...).is(t, 0)
	}
	maintenance("on", "--route")
	envoytest.Eventually(t, envoytest.Limit, "maintenance at checks' listener", checks.gets("503 out"))
	if err := users.gets("200 ")(); err != nil || users.dials.Load() != 1 {
		t.Errorf("after %d connections, the old Envoy answers %v", users.dials.Load(), err)
	}

	if got, err := ask(t, "127.0.0.1", o.admin, "", "POST /drain_listeners?graceful"); err != nil || got.Status != 200 {
		t.Fatal(got, err)
	}
	maintenance("off", "--route")
	envoytest.Eventually(t, envoytest.Limit, "no maintenance", checks.gets("200 "))
	maintenance("on")
	envoytest.Eventually(t, envoytest.Limit, "maintenance while listeners drain", checks.gets("503 out"))
}

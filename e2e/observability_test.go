package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// testMetrics compares what was asked and what was counted, under the names of Envoy and with Prometheus's labels.
func testMetrics(t *testing.T, b *bench) {
	before := b.envoy.Stats("wasmcustom.healthgate_")
	for range 7 {
		b.balancer.get(t, check).is(t, 200, "OK")
	}
	for range 3 {
		b.stranger.get(t, check, "X-Expected: yes").isApp(t, check)
	}
	after := b.envoy.Stats("wasmcustom.healthgate_")
	checks := "wasmcustom.healthgate_checks_total.endpoint.my-service.verdict."
	for name, want := range map[string]int{
		checks + "healthy": 7, checks + "untrusted": 3, checks + "maintenance": 0, checks + "draining": 0,
		checks + "unhealthy": 0, checks + "unknown": 0, checks + "passed": 0,
		"wasmcustom.healthgate_checks_total.endpoint.middleware.verdict.healthy": 0,
	} {
		if value, is := after[name]; !is || value-before[name] != want {
			t.Errorf("%s grew by %d (present: %v), want %d", name, value-before[name], is, want)
		}
	}
	for name, want := range map[string]int{
		"healthgate_draining":                        0,
		"healthgate_maintenance.endpoint.my-service": 0, "healthgate_maintenance.endpoint.middleware": 0,
		"healthgate_probe_up.probe.inbound": 1, "healthgate_probe_up.probe.outbound": 1, "healthgate_probe_up.probe.stats": 1,
		"healthgate_runtime_values_unrecognized_total": 1,
	} {
		if value, is := after["wasmcustom."+name]; !is || value != want {
			t.Errorf("%s is %d (present: %v), want %d", name, value, is, want)
		}
	}
	leaders := b.leaders(t)
	if after["wasmcustom.healthgate_callout_failures_total.callout.probe_outbound"] == 0 {
		t.Error("the callout that timed out was not counted")
	}
	envoytest.Eventually(t, envoytest.Limit, "the snapshot's age is that of a working leader's", func() error {
		const gauge = "wasmcustom.healthgate_snapshot_age_seconds"
		if age, is := b.envoy.Stats(gauge)[gauge]; !is || age > 3 {
			return fmt.Errorf("%d s (present: %v)", age, is)
		}
		return nil
	})

	page := b.envoy.Get("/stats/prometheus")
	for _, sample := range []string{
		fmt.Sprintf(`healthgate_checks_total{endpoint="my-service",verdict="healthy"} %d`, after[checks+"healthy"]),
		fmt.Sprintf(`healthgate_checks_total{endpoint="my-service",verdict="untrusted"} %d`, after[checks+"untrusted"]),
		`healthgate_maintenance{endpoint="my-service"} 0`,
		`healthgate_probe_up{probe="inbound"} 1`,
		`healthgate_callout_failures_total{callout="admin_runtime"} 0`,
		`healthgate_draining{} 0`,
		`envoy_wasm_vm_reload_success{plugin="healthgate"} 0`,
		fmt.Sprintf(`healthgate_leader_changes_total{} %d`, leaders),
	} {
		if !strings.Contains(page, "\n"+sample+"\n") {
			t.Errorf("Prometheus does not get %s", sample)
		}
	}
	build := regexp.MustCompile(`\nhealthgate_build_info\{version="[^"]+",commit="[\w-]+",` +
		`toolchain="(tiny)?go[0-9.]+"\} 1\n`)
	if !build.MatchString(page) {
		t.Errorf("Prometheus does not get which build this is, %s", build)
	}
}

// testLog: each change of state that the parts before made was logged once, whatever the number of workers.
func testLog(t *testing.T, b *bench) {
	ups := func(causes ...string) []string {
		out := []string{"healthy: status 200"}
		for _, cause := range causes {
			out = append(out, "unhealthy: "+cause, "healthy: status 200")
		}
		return out
	}
	timedOut := "timed out after " + timeout.String() + ", counts as 503"
	for subject, want := range map[string][]string{
		`probe "inbound"`:  ups("status 500", "*"),
		`probe "outbound"`: ups("status 500", timedOut, "*"),
		`probe "stats"`:    ups("status 500", "status 404", "*"),
		`maintenance: endpoint "my-service"`: {
			`on: key "healthgate.maintenance" = "true", reason "new database, until noon"`, "off",
			`on: key "healthgate.maintenance.zone.local-a" = "1"`, "off",
			`on: key "healthgate.maintenance" = "20*"`, "off",
			`on: key "healthgate.maintenance" = "mañana"`, "off",
		},
		"runtime":  {`key "healthgate.maintenance" = "mañana" is neither *`},
		"draining": {"on", "off"},
		"leader":   slices.Repeat([]string{"this VM probes and polls now"}, b.leaders(t)),
	} {
		var got []string
		// The lines come through a pipe, so the last ones may come a little late.
		envoytest.Eventually(t, envoytest.Limit, subject, func() error {
			if got = logged(b.envoy.Log, subject); len(got) < len(want) {
				return fmt.Errorf("logged %q, want %q", got, want)
			}
			return nil
		})
		if !slices.EqualFunc(got, want, like) {
			t.Errorf("%s: logged %q\nwant %q", subject, got, want)
		}
	}
}

// logged returns what the plugin logged about a subject.
func logged(log *envoytest.Log, subject string) []string {
	var out []string
	for _, line := range log.Lines("healthgate: " + subject + ": ") {
		_, text, _ := strings.Cut(line, "healthgate: "+subject+": ")
		out = append(out, text)
	}
	return out
}

// like reports whether a text is as wanted; an asterisk stands for any text.
func like(text, want string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(text)
}

// testAccessLog: what the filter answered is not in the access log, what reached the application is.
func testAccessLog(t *testing.T, b *bench) {
	const last = "/the-last-one"
	b.balancer.get(t, last).isApp(t, last)
	envoytest.Eventually(t, envoytest.Limit, "access log written", func() error { return b.envoy.AccessLog.Has(last) })
	for _, path := range []string{check, empty} {
		// A worker logs a request after the client has its answer, and no worker waits for another.
		envoytest.Eventually(t, envoytest.Limit, "as many lines as requests", func() error {
			lines := b.envoy.AccessLog.Lines(" " + path + " ")
			lines = append(lines, b.envoy.AccessLog.Lines(" "+path+"?a=%20b&")...)
			if seen := b.app.Count(path); seen == 0 || len(lines) != seen {
				return fmt.Errorf("the access log has %d lines for %s, the application saw %d requests:\n%s",
					len(lines), path, seen, strings.Join(lines, "\n"))
			}
			return nil
		})
	}
	if lines := b.envoy.AccessLog.Lines("healthgate_"); len(lines) > 0 {
		t.Errorf("health checks in the access log: %q", lines)
	}
}

// TestHiddenMetrics hides the filter's metrics, and those of clusters, as an operator's stats_matcher may. The counter
// of writes then stands still, which health checks look at to see whether anything is new: they must notice maintenance
// all the same. A probe of a cluster's statistics finds that it can't know.
func TestHiddenMetrics(t *testing.T) {
	t.Parallel()
	config := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
	stats := envoytest.At[object](config.Bootstrap, "stats_config")
	stats["stats_matcher"] = envoytest.Parse(`{"exclusion_list": {"patterns": [{"contains": "healthgate"},
		{"prefix": "cluster."}]}}`)
	blind := config.AddListener("blind")
	probes(blind, `"cluster_health": {"cluster": "app", "min_healthy_percent": 0}`)
	b := start(t, nil, config, 2)
	b.settle(t)
	if stats := b.envoy.Stats("wasmcustom.healthgate_"); len(stats) != 0 {
		t.Fatalf("the metrics are not hidden: %v", stats)
	}
	const unknown = `probe "p": cannot be read through cluster "envoy_admin": Envoy shows no gauge cluster.app.`
	b.finds(t, blind, unknown+"membership_total", "UNKNOWN")
	b.envoy.SetRuntime(key, "true")
	b.within(t, interval+slack, 503, sorry)
	b.envoy.SetRuntime(key, "")
	b.within(t, interval+slack, 200, "OK")
}

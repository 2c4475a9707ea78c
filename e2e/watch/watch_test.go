package watch

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestRules runs the alert rules' own tests, and checks that there is one for each of them.
func TestRules(t *testing.T) {
	t.Parallel()
	promtool := find(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "config", "envoy/watching/prometheus.yml"}, // and the rules that it names
		{"test", "rules", "envoy/watching/alerts_test.yml"},
	} {
		if out, err := run(t, promtool, args...); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := readFile(t, "envoy", "watching", "alerts_test.yml")
	documented := regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(readFile(t,
		"docs", "watching.md"), -1)
	if len(documented) == 0 {
		t.Error("docs/watching.md has no query")
	}
	for _, query := range documented {
		if !strings.Contains(tests, strings.TrimSpace(strings.ReplaceAll(query[1], "\n", "\n      "))) {
			t.Errorf("no test has the query of docs/watching.md\n%s", query[1])
		}
	}
	rules, runbook := readFile(t, "envoy", "watching", "alerts.yml"), readFile(t, "docs", "runbook.md")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) == 0 {
		t.Error("there are no alerts")
	}
	for _, a := range alerts {
		url := "runbook_url: https://github.com/healthgate/healthgate/blob/main/docs/runbook.md#" +
			strings.ToLower(a[1]) + "\n"
		if strings.Count(rules, url) != 1 {
			t.Errorf("%s has no %s", a[1], url)
		}
		if !strings.Contains(runbook, "\n### "+a[1]+"\n") {
			t.Errorf("docs/runbook.md does not say what to do about %s", a[1])
		}
		if !strings.Contains(readFile(t, "docs", "watching.md"), "\n| `"+a[1]+"` | ") {
			t.Errorf("docs/watching.md does not say when %s fires", a[1])
		}
		if !regexp.MustCompile(`alertname: ` + a[1] + `\n\s+exp_alerts:`).MatchString(tests) {
			t.Errorf("no test sees %s fire", a[1])
		}
		if !strings.Contains(tests, "alertname: "+a[1]+"}") {
			t.Errorf("no test sees %s stay silent", a[1])
		}
	}
}

// TestWatching looks at one demo in every way. Its parts come one after the other.
func TestWatching(t *testing.T) {
	d := startDemo(t)
	p := startPrometheus(t, target(d.admin, "demo"))
	t.Run("metrics", func(t *testing.T) { testMetrics(t, d) })
	t.Run("alerts", func(t *testing.T) { testAlerts(t, d, p) })
	t.Run("dashboard", func(t *testing.T) { testDashboard(t, p) })
	t.Run("dashboard of a fleet", func(t *testing.T) { testFleet(t, d) })
	t.Run("page", func(t *testing.T) { testPage(t, d) })
	t.Run("narrow page", func(t *testing.T) { testNarrowPage(t, d) })
	t.Run("page of a fleet", func(t *testing.T) { testFleetPage(t, d) })
}

// TestScrapedWithoutAdmin: the job of envoy/watching works at a listener that serves nothing but metrics.
func TestScrapedWithoutAdmin(t *testing.T) {
	t.Parallel()
	var addresses [4]string
	for i := range addresses {
		addresses[i] = envoytest.Loopback(must.Port(t))
	}
	bootstrap := filepath.Join(t.TempDir(), "envoy.yaml")
	envoytest.Healthgate(t, "render", "envoy", "envoy/healthgate.yaml", "--wasm", envoytest.Wasm(t), "-o", bootstrap,
		"--runtime-dir", "", "--metrics-listen", addresses[0], "--admin", addresses[1], "--listen", addresses[2],
		"--cluster", "app="+addresses[3])
	launch(t, envoytest.Binary(t), "-c", bootstrap, "--disable-hot-restart", "--concurrency", "1")
	p := startPrometheus(t, target("http://"+addresses[0], "a"))
	envoytest.Eventually(t, envoytest.StartLimit, "metrics of the filter", func() error {
		found, err := p.query(`healthgate_probe_up{instance="a", probe="inbound"}`)
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("%v", found)
		}
		return err
	})
}

// noHelp is what promtool says of each metric of Envoy, the filter's included: Envoy writes no help text.
const noHelp = "no help text"

// wantsSeconds is what it says of a metric in milliseconds: one of proxy-wasm is a whole number.
const wantsSeconds = `use base unit "seconds" instead of "milliseconds"`

// testMetrics lets Prometheus's linter look at what Envoy exposes.
func testMetrics(t *testing.T, d *demo) {
	cmd := exec.Command(find(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = strings.NewReader(d.metrics())
	out, _ := cmd.CombinedOutput() // fails for Envoy's own metrics
	linted := 0
	for line := range strings.Lines(string(out)) {
		name, complaint, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(name, "healthgate_") {
			continue
		}
		linted++
		if complaint == wantsSeconds && name == "healthgate_runtime_poll_milliseconds" {
			linted--
		} else if complaint != noHelp {
			t.Errorf("%s: %s", name, complaint)
		}
	}
	// That the linter reads them shows in the one complaint it has.
	if defined := strings.Count(d.metrics(), "# TYPE healthgate_"); linted < defined || defined < 9 {
		t.Errorf("promtool looked at %d of %d metrics of the filter:\n%s", linted, defined, out)
	}
	if strings.Contains(d.metrics(), "# HELP") {
		t.Errorf("Envoy writes help texts now: %q need not be excused any more", noHelp)
	}
}

// testAlerts makes trouble, and looks at what Prometheus thinks of it.
func testAlerts(t *testing.T, d *demo, p *prometheus) {
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	envoytest.Eventually(t, envoytest.Limit, "the rules are evaluated", func() error {
		if err := p.api("/api/v1/rules", &rules); err != nil {
			return err
		}
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return fmt.Errorf("%+v", r)
				}
			}
		}
		return nil
	})
	d.post(d.nodes + "inbound?status=500")
	envoytest.Eventually(t, envoytest.Limit, "a failing probe is noticed",
		p.alert("HealthgateProbeFailing", "pending", map[string]string{"probe": "inbound"}))
	d.setRuntime("healthgate.maintenance", "tomorrow")
	envoytest.Eventually(t, envoytest.Limit, "maintenance is noticed",
		p.alert("HealthgateMaintenanceLong", "pending", map[string]string{"endpoint": "my-service"}))
	envoytest.Eventually(t, envoytest.Limit, "the value that is none is noticed",
		p.alert("HealthgateUnrecognizedValue", "firing", nil))

	if status, _, err := d.do("GET", d.envoy+"/my-service/healthcheck", "x-healthgate-fault",
		"crash"); err != nil || status != 503 {
		t.Fatalf("the plugin did not crash: %d %v", status, err)
	}
	envoytest.Eventually(t, envoytest.Limit, "the crash is noticed", func() error {
		_, _, _ = d.get(d.envoy + "/my-service/healthcheck") // only a request loads the VM again
		return p.alert("HealthgateVMReloads", "firing", map[string]string{"plugin": "healthgate"})()
	})
	said := envoytest.Healthgate(t, "status", "--admin", d.admin, "-o", "json")
	if crashed := "wasm.healthgate.vm_reload_success is 1 since Envoy started"; !strings.Contains(said, crashed) {
		t.Errorf("status does not say %q:\n%s", crashed, said)
	}
	for _, name := range []string{"HealthgateSnapshotStale", "HealthgateNoLeader", "HealthgateRuntimeUnreadable"} {
		for _, state := range []string{"pending", "firing"} {
			if p.alert(name, state, nil)() == nil {
				t.Errorf("%s is %s, and nothing of the kind has happened", name, state)
			}
		}
	}
	for _, name := range regexp.MustCompile(`(?:envoy|healthgate)_\w+`).FindAllString(readFile(t,
		"envoy", "watching", "alerts.yml"), -1) {
		envoytest.Eventually(t, envoytest.Limit, name+", which an alert needs, is scraped", func() error {
			found, err := p.query(name)
			if err == nil && len(found) == 0 {
				err = errors.New("no data")
			}
			return err
		})
	}
	d.setRuntime("healthgate.maintenance", "")
	d.post(d.nodes + "inbound")
}

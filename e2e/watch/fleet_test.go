package watch

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// testFleetPage looks at what healthgate serve shows of an Envoy in maintenance and of two that do not answer.
func testFleetPage(t *testing.T, d *demo) {
	d.setRuntime("healthgate.maintenance", "true", "healthgate.maintenance.reason",
		"<script>document.title='x'</script>/a/path/of/a/disk/that/is/longer/than/a/telephone/is/wide")
	command := must.Get(envoytest.Command())(t)
	url := "http://" + envoytest.Loopback(must.Port(t)) + "/"
	launch(t, command, "serve", "--listen", strings.Trim(url, "htp:/"), "--interval", "1s", "--admin", d.admin,
		"--admin", "unix:///nonexistent", "--admin", envoytest.Loopback(must.Port(t)))
	var page string
	envoytest.Eventually(t, envoytest.Limit, "maintenance shows", func() error {
		status, body, err := d.get(url)
		if page = body; err == nil && !strings.Contains(body, "503 maintenance") {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	dom, log := browse(t, url)
	for _, part := range []string{"<title>2 could not be asked, 1 in maintenance or draining · healthgate</title>",
		"<caption>3 Envoys", "&lt;script&gt;", "connection refused"} {
		if !strings.Contains(dom, part) {
			t.Errorf("the browser's page lacks %s:\n%s", part, dom)
		}
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "CONSOLE") {
			t.Errorf("the browser says: %s", line)
		}
	}
	nothingCut(t, page, 3)

	_, metrics, err := d.get(url + "metrics")
	if err != nil || !strings.Contains(metrics, `endpoint="my-service",verdict="maintenance",sure="true"`) {
		t.Errorf("%v\n%s", err, metrics)
	}
	cmd := exec.Command(find(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = strings.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	d.setRuntime("healthgate.maintenance", "", "healthgate.maintenance.reason", "")
}

package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/status"
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

// TestDashboardSchema checks the dashboard against Grafana's types, and that this check notices mistakes.
func TestDashboardSchema(t *testing.T) {
	t.Parallel()
	if out, err := run(t, "scripts/check-dashboard", "envoy/watching/dashboard.json"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text := readFile(t, "envoy", "watching", "dashboard.json")
	for _, mistake := range []struct{ old, new, message string }{
		{`"colorMode": "background"`, `"colorMode": "back"`, `'back' is not one of`},
		{`"drawStyle": "line"`, `"drawStile": "line"`, `custom.drawStile: no such field`},
		{`"w": 5`, `"w": "5"`, `'5' is not of type int`},
	} {
		file := filepath.Join(t.TempDir(), "dashboard.json")
		must.Write(t, file, strings.Replace(text, mistake.old, mistake.new, 1))
		if out, err := run(t, "scripts/check-dashboard", file); err == nil || !strings.Contains(out, mistake.message) {
			t.Errorf("%s instead of %s: %v\n%s", mistake.new, mistake.old, err, out)
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
		addresses[i] = envoytest.Loopback(envoytest.ReservePort(t))
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

// dashboard is the part of a Grafana dashboard that these tests look at.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct {
			Expr    string
			Instant bool
		}
	}
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
}

// each calls a function with each of the dashboard's queries, as Grafana would send it with everything chosen.
func (p *prometheus) each(t *testing.T, f func(panel, expr string, instant bool)) {
	var d dashboard
	must.Do(t, json.Unmarshal([]byte(readFile(t, "envoy", "watching", "dashboard.json")), &d))
	replace := []string{"$__rate_interval", "10s"}
	labelValues := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Query)
		if m == nil || m[2] != v.Name {
			t.Errorf("variable %s asks for %q", v.Name, v.Query)
			continue
		}
		var values []string
		if err := p.api("/api/v1/label/"+m[2]+"/values?match[]="+m[1], &values); err != nil || len(values) == 0 {
			t.Errorf("variable %s has the values %q, %v", v.Name, values, err)
		}
		replace = append(replace, "$"+v.Name, ".+")
	}
	queries := 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries++
			expr := strings.NewReplacer(replace...).Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: %q has a variable that the dashboard has not", panel.Title, expr)
				continue
			}
			f(panel.Title, expr, target.Instant)
		}
	}
	if queries < 10 {
		t.Errorf("the dashboard has %d queries", queries)
	}
}

// testDashboard: each query has an answer. That nothing is wrong is no reason for an empty one.
func testDashboard(t *testing.T, p *prometheus) {
	p.each(t, func(panel, expr string, _ bool) {
		envoytest.Eventually(t, envoytest.Limit, panel, func() error {
			if strings.HasPrefix(expr, "topk(") {
				return someMetric(p, expr)
			}
			found, err := p.query(strings.TrimSuffix(expr, " or vector(0)"))
			if strings.HasSuffix(expr, " or vector(0)") && err == nil {
				return someMetric(p, expr)
			}
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("no data for %s", expr)
			}
			return err
		})
	})
}

// testFleet: with 200 Envoys, each of which is in trouble, no panel has more lines or rows than one can read.
func testFleet(t *testing.T, d *demo) {
	const fleet, readable = 200, 20
	start := time.Now()
	status, calm, err := d.get(d.admin + "/stats/prometheus?filter=%5Ewasm")
	if err != nil || status != 200 {
		t.Fatalf("metrics: %d %v", status, err)
	}
	trouble := regexp.MustCompile(`(?m)^(healthgate_probe_up\{.*) 1$`).ReplaceAllString(calm, "$1 0")
	trouble = regexp.MustCompile(`(?m)^(healthgate_(?:maintenance|draining)\{.*) 0$`).ReplaceAllString(trouble, "$1 1")
	counters := regexp.MustCompile(`(?m)^(\w+(?:_total|_vm_reload_success)\{.*\}) \d+$`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		counted := fmt.Sprint("$1 ", time.Since(start).Milliseconds())
		_, _ = io.WriteString(w, counters.ReplaceAllString(trouble, counted))
	}))
	defer server.Close()
	var targets []string
	for i := range fleet {
		targets = append(targets, target(server.URL, fmt.Sprintf("envoy-%d", i)))
	}
	p := startPrometheus(t, targets...)
	p.each(t, func(panel, expr string, instant bool) {
		if strings.HasPrefix(expr, "topk(") && !instant {
			t.Errorf("%s: over time, %s is of other Envoys in each moment", panel, expr)
		}
		envoytest.Eventually(t, envoytest.Limit, panel, func() error {
			found, err := p.query(strings.TrimSuffix(expr, " or vector(0)"))
			switch {
			case err != nil:
				return err
			case len(found) == 0:
				return fmt.Errorf("no data for %s", expr)
			case len(found) > readable:
				t.Errorf("%s: %d lines of %s", panel, len(found), expr)
			}
			return nil
		})
	})
}

// someMetric returns an error unless the query's metric is there, whatever its value.
func someMetric(p *prometheus, expr string) error {
	metric := regexp.MustCompile(`\w+\{[^}]*\}`).FindString(expr)
	found, err := p.query(metric)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no data for %s of %s", metric, expr)
	}
	return err
}

// testPage looks at the status page as a browser does.
func testPage(t *testing.T, d *demo) {
	d.setRuntime("healthgate.maintenance", "true", "healthgate.maintenance.reason",
		"<b>bold</b> & <script>document.title='x'</script>")
	url := d.envoy + "/healthgate/status"
	envoytest.Eventually(t, envoytest.Limit, "maintenance shows", func() error {
		status, body, err := d.get(url)
		if err == nil && !strings.Contains(body, "maintenance.reason") && !strings.Contains(body, "bold") {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	dom, log := browse(t, url)
	for _, part := range []string{"<b>Out of rotation: 1 of 2</b>", "&lt;b&gt;bold&lt;/b&gt; &amp; &lt;script&gt;",
		"<h3>my-service</h3>", "<title>Out of rotation: 1 of 2 · healthgate-1</title>"} {
		if !strings.Contains(dom, part) {
			t.Errorf("the browser's page lacks %s:\n%s", part, dom)
		}
	}
	// What the browser refuses (a resource that the Content-Security-Policy forbids) and what goes wrong it says here.
	for line := range strings.Lines(log) {
		if strings.Contains(line, "CONSOLE") {
			t.Errorf("the browser says: %s", line)
		}
	}
	d.setRuntime("healthgate.maintenance", "", "healthgate.maintenance.reason", "")
}

// browse returns what Chromium makes of a page, and what it logs.
func browse(t *testing.T, url string) (dom, log string) {
	t.Helper()
	args := []string{"--headless", "--disable-gpu", "--user-data-dir=" + t.TempDir(),
		"--enable-logging=stderr", "--dump-dom"}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // which Chromium refuses to set up for root
	}
	cmd := exec.Command(find(t, "chromium", "chromium"), append(args, url)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return string(out), stderr.String()
}

// measure is a page that shows another one in a frame, and says what of it lies outside the frame or is scrolled away.
const measure = `<!doctype html><iframe src="/page" style="width:%dpx;height:3000px;border:0"></iframe><pre></pre>
<script>
onload = () => {
	const page = document.querySelector("iframe").contentDocument
	const said = ["measured " + page.querySelectorAll("tbody tr").length + " rows"]
	const cards = [...page.querySelectorAll("section")].sort((a, b) =>
		a.getBoundingClientRect().top - b.getBoundingClientRect().top)
	document.title = page.body.offsetHeight + " " + cards.map(c => c.className).join(" ")
	for (const e of page.body.querySelectorAll("*")) {
		const box = e.getBoundingClientRect()
		if (box.right > page.documentElement.clientWidth || e.clientWidth && e.scrollWidth > e.clientWidth)
			said.push("cut: " + e.tagName + " " + e.innerText)
	}
	document.querySelector("pre").textContent = said.join("\n") + "\nend"
}</script>`

// testNarrowPage looks at the page on a telephone, and on a screen that just holds the tables: nothing is cut.
func testNarrowPage(t *testing.T, d *demo) {
	d.post(d.nodes + "inbound?status=500")
	defer d.post(d.nodes + "inbound")
	var page string
	envoytest.Eventually(t, envoytest.Limit, "the failure shows", func() error {
		status, body, err := d.do("GET", d.envoy+"/healthgate/status", "Accept", "text/html")
		if page = body; err == nil && !strings.Contains(body, "<td>500<td>") {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	nothingCut(t, page, 6)
}

// nothingCut shows a page that has so many rows in windows of several widths.
func nothingCut(t *testing.T, page string, rows int) {
	t.Helper()
	for _, width := range []int{320, 400, 768, 770, 1000} {
		_, said, _ := strings.Cut(framed(t, page, width), "<pre>")
		if said, _, ended := strings.Cut(said, "end</pre>"); !ended || said != fmt.Sprintf("measured %d rows\n", rows) {
			t.Errorf("%d pixels wide: %s", width, said)
		}
	}
}

// framed returns what the browser makes of measure with a page.
func framed(t *testing.T, page string, width int) (dom string) {
	mux := http.NewServeMux() // without the page's Content-Security-Policy, which allows no frame and no script
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, measure, width) })
	server := httptest.NewServer(mux)
	defer server.Close()
	dom, _ = browse(t, server.URL)
	return dom
}

// With 30 health checks and 20 probes, a telephone shows how many fail at the top, and these first.
func TestCrowdedPage(t *testing.T) {
	t.Parallel()
	find(t, "chromium", "chromium")
	d := status.Document{Level: status.Fail, Node: "healthgate-1", Output: strings.Repeat("shop-7: timeout; ", 20)}
	for i := range 30 {
		c := status.Check{Component: fmt.Sprintf("endpoint-%d", i), Value: `"healthy"`, HTTPStatus: 200,
			Paths: []string{fmt.Sprintf("/service-%d/healthcheck", i)}}
		switch {
		case i%10 == 7:
			c.Level, c.Value, c.Output = status.Fail, `"unhealthy"`, "inbound (500), outbound (timeout) failing"
		case i%3 == 0:
			c.Level, c.Value = status.Planned, `"maintenance"`
			c.Maintenance = &status.Maintenance{Key: "healthgate.maintenance", Value: "true", Reason: "disk swap"}
		}
		d.Endpoints = append(d.Endpoints, c)
	}
	for i := range 20 {
		d.Probes = append(d.Probes, status.Check{Component: fmt.Sprintf("probe-%d", i), Value: "3", Unit: "ms",
			HTTPStatus: 200, Time: 1, Since: 1})
	}
	page := string(d.HTML(false))
	if !strings.Contains(page, "<title>Failing: 3 of 30 · healthgate-1</title>") {
		t.Errorf("its title does not count: %s", page[:500])
	}
	nothingCut(t, page, 20)
	_, title, _ := strings.Cut(framed(t, page, 400), "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	height, cards := 0, strings.Fields(title)
	if _, err := fmt.Sscan(title, &height); err != nil {
		t.Fatalf("%v in %q", err, title)
	}
	t.Logf("%d pixels high", height)
	want := slices.Concat(slices.Repeat([]string{"fail"}, 3), slices.Repeat([]string{"warn"}, 9),
		slices.Repeat([]string{"pass"}, 18))
	if height > 6500 || !slices.Equal(cards[1:], want) {
		t.Errorf("%d pixels high, cards: %q", height, cards)
	}
}

// TestScreenshot takes the pictures of the documentation.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	find(t, "chromium", "chromium")
	dir := t.TempDir()
	if out, err := run(t, "make", "screenshot", "SCREENSHOTS="+dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, dark := range map[string]bool{"status-light.png": false, "status-dark.png": true} {
		file := must.Get(os.Open(filepath.Join(dir, name)))(t)
		picture, _, err := image.Decode(file)
		_ = file.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// The page's background, and the band that says how things are: amber.
		if r, _, _, _ := picture.At(3, 3).RGBA(); (r < 0x8000) != dark {
			t.Errorf("%s: the background is %v", name, picture.At(3, 3))
		}
		if r, g, b, _ := picture.At(500, 40).RGBA(); r < g || 2*g < r || g < 2*b {
			t.Errorf("%s: the header is %v", name, picture.At(500, 40))
		}
	}
}

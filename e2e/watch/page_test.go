package watch

import (
	"fmt"
	"image"
	_ "image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/status"
)

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

// measure is a page that shows another one in a frame, and says what of it lies outside the frame, is scrolled away, or
// is broken in the last columns of a table.
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
		if (e.matches("td:nth-child(n+3)")) {
			const was = e.clientWidth
			e.style.overflowWrap = "normal"
			if (e.clientWidth > was) said.push("a word is broken: " + e.innerText)
			e.style.overflowWrap = ""
		}
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

// testFleetPage looks at what healthgate serve shows of an Envoy in maintenance and of two that do not answer.
func testFleetPage(t *testing.T, d *demo) {
	d.setRuntime("healthgate.maintenance", "true", "healthgate.maintenance.reason",
		"<script>document.title='x'</script>/a/path/of/a/disk/that/is/longer/than/a/telephone/is/wide"+
			strings.Repeat("/and/longer", 16))
	command := must.Get(envoytest.Command())(t)
	url := "http://" + envoytest.Loopback(must.Port(t)) + "/"
	launch(t, command, "serve", "--listen", strings.Trim(url, "htp:/"), "--interval", "1s", "--admin", d.admin,
		"--admin", "unix:///nonexistent"+strings.Repeat("/folder", 12), "--admin", envoytest.Loopback(must.Port(t)))
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

	stop := envoytest.Repeat(t, 100*time.Millisecond, func() { _, _, _ = d.get(d.envoy + "/my-service/healthcheck") })
	defer stop()
	var metrics string
	envoytest.Eventually(t, envoytest.Limit, "a check is seen", func() (err error) {
		_, metrics, err = d.get(url + "metrics")
		if err == nil && !strings.Contains(metrics, `endpoint="my-service",verdict="maintenance",sure="true"`) {
			err = fmt.Errorf("not in %s", metrics)
		}
		return err
	})
	cmd := exec.Command(find(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = strings.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	d.setRuntime("healthgate.maintenance", "", "healthgate.maintenance.reason", "")
}

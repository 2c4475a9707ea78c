package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

const statusPath = "/healthgate/status"

// statusDocument is the part of the status document that these tests look at.
type statusDocument struct {
	Status, ServiceID, Output string
	Checks                    map[string][]struct {
		Status, Output string
		ObservedValue  any
		Outcome        string
		HTTPStatus     int
		Maintenance    *struct{ Key, Value, Reason string }
	}
}

// shows returns a condition for Eventually: the status endpoint answers with the status and the document's.
func (b *bench) shows(httpStatus int, status, output string) func() error {
	return func() error {
		a, err := b.balancer.request("GET", statusPath, "")
		if err != nil {
			return err
		}
		var d statusDocument
		if err := json.Unmarshal([]byte(a.Body), &d); err != nil {
			return fmt.Errorf("%w: %v", err, a)
		}
		if a.Status != httpStatus || d.Status != status || d.Output != output {
			return fmt.Errorf("%d %s %q, not %d %s %q", a.Status, d.Status, d.Output, httpStatus, status, output)
		}
		return nil
	}
}

// probeShows reports an error unless the status endpoint says this of a failing probe, and a status only if one came.
func (b *bench) probeShows(probe, output string) error {
	a, err := b.balancer.request("GET", statusPath, "")
	if err != nil {
		return err
	}
	var d statusDocument
	if err := json.Unmarshal([]byte(a.Body), &d); err != nil {
		return err
	}
	c := d.Checks[probe+":responseTime"]
	if len(c) != 1 || c[0].Output != output || (c[0].HTTPStatus != 0) != (c[0].Outcome == "response") {
		return fmt.Errorf("probe %s is shown as %+v, not %q", probe, c, output)
	}
	return nil
}

// testStatus looks at the state through each of its causes.
func testStatus(t *testing.T, b *bench) {
	const reason = `<b>new</b> & "fast" disk`
	envoytest.Eventually(t, envoytest.Limit, "all well", b.shows(200, "pass", ""))
	testStatusForms(t, b)

	b.app.Answer(alive("stats"), 500)
	envoytest.Eventually(t, envoytest.Limit, "a node failing",
		b.shows(503, "fail", "my-service: stats (500) failing; 2 of 3 healthy, 3 needed"))
	b.app.Answer(alive("stats"), 200)

	b.envoy.SetRuntime("healthgate.maintenance", "true", "healthgate.maintenance.reason", reason)
	envoytest.Eventually(t, envoytest.Limit, "maintenance",
		b.shows(503, "fail", `my-service: under maintenance by key "healthgate.maintenance": `+reason))
	page := b.balancer.get(t, statusPath, "Accept: text/html")
	if page.Status != 503 || !strings.Contains(page.Body, "&lt;b&gt;new&lt;/b&gt; &amp; &#34;fast&#34; disk") ||
		strings.Contains(page.Body, "<b>new") {
		t.Errorf("the page under maintenance: %v", page)
	}
	const reloads = `http-equiv="refresh"`
	paused := b.balancer.get(t, statusPath+"?pause", "Accept: text/html")
	if !strings.Contains(page.Body, reloads) || paused.Status != 503 || strings.Contains(paused.Body, reloads) {
		t.Errorf("the page reloads itself, unless it is paused: %v", paused)
	}
	// Nothing of it reaches another source, a forged one neither.
	for _, forged := range []string{"X-Expected: yes", "X-Expected: yes\r\nX-Forwarded-For: 127.0.0.1"} {
		a := b.stranger.get(t, statusPath, forged)
		a.isApp(t, statusPath)
		if strings.Contains(fmt.Sprint(a), "disk") {
			t.Errorf("a stranger learns %v", a)
		}
	}
	b.envoy.SetRuntime("healthgate.maintenance", "", "healthgate.maintenance.reason", "")
	envoytest.Eventually(t, envoytest.Limit, "all well again", b.shows(200, "pass", ""))

	b.envoy.Post("/healthcheck/fail")
	envoytest.Eventually(t, envoytest.Limit, "draining",
		b.shows(503, "fail", "my-service: Envoy is draining; middleware: Envoy is draining"))
	b.envoy.Post("/healthcheck/ok")
	b.settle(t)
}

// testStatusForms: JSON for programs, a page for browsers, and neither is kept by anyone.
func testStatusForms(t *testing.T, b *bench) {
	for accept, contentType := range map[string]string{
		"*/*": "application/health+json", "application/health+json": "application/health+json",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html; charset=utf-8",
	} {
		whole := b.balancer.get(t, statusPath, "Accept: "+accept)
		head := must.Get(b.balancer.request("HEAD", statusPath, "", "Accept: "+accept))(t)
		for _, a := range []answer{whole, head} {
			if a.Status != 200 {
				t.Errorf("accept %s: %v", accept, a)
			}
			a.has(t, "Content-Type", contentType)
			a.has(t, "Cache-Control", "no-store")
			a.has(t, "Vary", "accept")
			a.has(t, "X-Content-Type-Options", "nosniff")
		}
		if n, err := strconv.Atoi(head.Header.Get("Content-Length")); err != nil || n < 500 || head.Body != "" {
			t.Errorf("HEAD: %v", head)
		}
	}
	a := must.Get(b.balancer.request("POST", statusPath, "", "X-Expected: yes"))(t)
	a.isApp(t, statusPath) // not a method of the endpoint
}

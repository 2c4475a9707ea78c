package watch

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

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

package watch

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// prometheus is a running Prometheus with the configuration that operators copy.
type prometheus struct {
	t   testing.TB
	url string
}

// startPrometheus starts one that scrapes these elements of static_configs.
func startPrometheus(t testing.TB, targets ...string) *prometheus {
	t.Helper()
	binary := find(t, "prometheus", "prometheus")
	dir := t.TempDir()
	interval := "500ms" // the test need not be patient
	if len(targets) > 1 {
		interval = "2s" // and Prometheus not in a hurry
	}
	impatient := map[string]map[string]string{
		"prometheus.yml": {
			"- targets: [127.0.0.1:9901]": strings.Join(targets, "\n  "),
			"scrape_interval: 15s":        "scrape_interval: " + interval,
			"evaluation_interval: 15s":    "evaluation_interval: 500ms",
		},
		"alerts.yml": {"healthgate_probe_up[2m]": "healthgate_probe_up[2s]"},
	}
	for name, changes := range impatient {
		text := readFile(t, "envoy", "watching", name)
		for old, value := range changes {
			if strings.Count(text, old) != 1 {
				t.Fatalf("envoy/watching/%s has not one %q", name, old)
			}
			text = strings.Replace(text, old, value, 1)
		}
		must.Write(t, filepath.Join(dir, name), text)
	}
	address := envoytest.Loopback(must.Port(t))
	launch(t, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address)
	p := &prometheus{t, "http://" + address}
	envoytest.Eventually(t, envoytest.Limit, "all are scraped", func() error {
		found, err := p.query(`up{job="healthgate"} == 1`)
		if err == nil && len(found) != len(targets) {
			err = fmt.Errorf("%d of %d are up", len(found), len(targets))
		}
		return err
	})
	return p
}

// target returns an element of static_configs for the server at a URL.
func target(url, instance string) string {
	return fmt.Sprintf("- {targets: [%q], labels: {instance: %s}}", strings.TrimPrefix(url, "http://"), instance)
}

// api asks Prometheus's HTTP API, and reads the answer's data.
func (p *prometheus) api(path string, data any) error {
	r, err := envoytest.Client.Get(p.url + path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %d %w", path, r.StatusCode, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// series is one of the results of a query.
type series struct {
	Metric map[string]string
	Value  [2]any // time, and the value as a text
}

func (p *prometheus) query(expr string) ([]series, error) {
	var data struct{ Result []series }
	err := p.api("/api/v1/query?query="+url.QueryEscape(expr), &data)
	return data.Result, err
}

// alert returns a condition for Eventually: an alert with the labels is in the state.
func (p *prometheus) alert(name, state string, labels map[string]string) func() error {
	return func() error {
		var data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
		if err := p.api("/api/v1/alerts", &data); err != nil {
			return err
		}
	alerts:
		for _, a := range data.Alerts {
			if a.State != state || a.Labels["alertname"] != name {
				continue
			}
			for k, v := range labels {
				if a.Labels[k] != v {
					continue alerts
				}
			}
			return nil
		}
		return fmt.Errorf("%+v", data.Alerts)
	}
}

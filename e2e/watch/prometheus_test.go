package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// prometheus is a running Prometheus with the configuration that operators copy.
type prometheus struct {
	t   testing.TB
	url string
}

func startPrometheus(t testing.TB, d *demo) *prometheus {
	t.Helper()
	binary := find(t, "prometheus", "prometheus")
	dir := t.TempDir()
	config := readFile(t, "envoy", "watching", "prometheus.yml")
	for old, value := range map[string]string{
		"127.0.0.1:9901":           strings.TrimPrefix(d.admin, "http://"),
		"scrape_interval: 15s":     "scrape_interval: 500ms", // the test need not be patient
		"evaluation_interval: 15s": "evaluation_interval: 500ms",
	} {
		if strings.Count(config, old) != 1 {
			t.Fatalf("envoy/watching/prometheus.yml has not one %q", old)
		}
		config = strings.Replace(config, old, value, 1)
	}
	for name, text := range map[string]string{"prometheus.yml": config,
		"alerts.yml": readFile(t, "envoy", "watching", "alerts.yml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := envoytest.Loopback(envoytest.ReservePort(t))
	launch(t, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address)
	p := &prometheus{t, "http://" + address}
	envoytest.Eventually(t, envoytest.Limit, "the demo is scraped", func() error {
		found, err := p.query(`up{job="healthgate"} == 1`)
		if err == nil && len(found) != 1 {
			err = errors.New("not up")
		}
		return err
	})
	return p
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

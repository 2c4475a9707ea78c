package layers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/internal/rtds"
)

const (
	workers = 4
	rounds  = 3
	// The polling interval of envoy/bootstrap.yaml, and what a busy machine may add.
	limit = time.Second + 7*time.Second
)

// TestEachWay throws maintenance and clears it again through each way, one after the other, in one Envoy that has all
// of them as layers, while checks and users come. What the log of the test shows at its end is how long each took.
func TestEachWay(t *testing.T) {
	t.Parallel()
	application := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), application.Port)
	var e *envoytest.Envoy
	admin := func(_ *testing.T, key, value string) { e.SetRuntime(key, value) }

	mounted := configMap(t.TempDir())
	mounted.set(t, "", "")
	file := rtdsFile{filepath.Join(t.TempDir(), "rtds.json"), "from_file"}
	file.set(t, "", "")
	server := startRTDS(t, "from_server")
	insertLayers(config,
		envoytest.Object{"name": "configmap", "disk_layer": envoytest.Object{"symlink_root": mounted.root()}},
		rtds.Layer(file.layer, envoytest.Object{
			"resource_api_version": "V3",
			"path_config_source":   envoytest.Object{"path": file.path},
		}),
		rtds.Layer("from_server", rtds.Source(config, server.port)),
	)
	ways := []way{
		{"admin layer", polled, "true", admin},
		{"disk layer", polled, "true", func(_ *testing.T, key, on string) { config.SetMaintenance(on != "", key) }},
		{"ConfigMap", polled, "true", mounted.set},
		{"RTDS, a file", polled, "true", file.set},
		{"RTDS, a server", polled, "true", server.set},
		{"runtime_fraction, admin layer", routed, "100", admin},
		{"runtime_fraction, RTDS server", routed, "100", server.set},
	}
	config.SetMaintenance(true, "healthgate.unused") // the layer is there from the start

	e = envoytest.Start(t, config, workers)
	url := "http://" + config.Listener("ingress").Address()
	envoytest.Eventually(t, envoytest.Limit, "healthy", func() error { return answers(url+check, fine) })
	users := startLoad(t, url+envoytest.UsersPath, 4, 40*time.Millisecond)
	checks := startLoad(t, url+check, 2*workers, 10*time.Millisecond)

	var table strings.Builder
	fmt.Fprintf(&table, "%-32s %14s %14s %14s %14s\n", "", "first 503", "last 200", "first 200", "last 503")
	for _, w := range ways {
		for round := range rounds {
			// The filter polls once a second. Each round is thrown at another point between two polls.
			quiet := 250*time.Millisecond + time.Second*time.Duration(round)/rounds
			on := w.toggle(t, checks, quiet, w.on, fine, sorry)
			off := w.toggle(t, checks, quiet, "", sorry, fine)
			fmt.Fprintf(&table, "%-32s %14v %14v %14v %14v\n", w.name, on.first, on.last, off.first, off.last)
		}
	}
	t.Logf("since the change was made:\n%s", &table)

	users.Saw(t, envoytest.Served)
}

// took is when, after a change, the new answer came for the first time, and the old one for the last.
type took struct{ first, last time.Duration }

// toggle sets the way's key and waits until no worker has given the old answer for a while.
func (w way) toggle(t *testing.T, checks *envoytest.Load, quiet time.Duration, value, before, after string) took {
	t.Helper()
	checks.Reset()
	start := time.Now()
	w.set(t, w.key, value)
	var seen map[string]envoytest.Sighting
	// So many checks in a row, of as many connections, reach every worker but for one case in a million.
	const enough = 12 * workers
	envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("%s: all workers answer %s", w.name, after), func() error {
		seen = checks.Seen()
		if old := seen[before].Last; seen[after].Times < enough || time.Since(old) < quiet ||
			time.Since(seen[after].First) < quiet {
			return fmt.Errorf("checks are answered %v", seen)
		}
		return nil
	})
	for answer := range seen {
		if answer != before && answer != after {
			t.Errorf("%s: between %q and %q checks were answered %q", w.name, before, after, answer)
		}
	}
	first := seen[after].First.Sub(start)
	if first > limit {
		t.Errorf("%s: the first %s came after %v, the limit is %v", w.name, after, first, limit)
	}
	var last time.Duration
	if s := seen[before]; s.Times > 0 {
		last = s.Last.Sub(start)
	}
	return took{first.Round(time.Millisecond), last.Round(time.Millisecond)}
}

// insertLayers puts runtime layers below the admin layer, which is the last.
func insertLayers(c *envoytest.Config, layers ...envoytest.Object) {
	runtime := envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime")
	all := runtime["layers"].([]any)
	below, admin := all[:len(all)-1], all[len(all)-1]
	var out []any
	out = append(out, below...)
	for _, l := range layers {
		out = append(out, l)
	}
	runtime["layers"] = append(out, admin)
}

// answers returns an error unless the URL gives the answer: a condition for Eventually.
func answers(url, want string) error {
	got, err := get(url)
	if err == nil && got != want {
		err = fmt.Errorf("%s answers %s", url, got)
	}
	return err
}

const (
	check = "/my-service/healthcheck" // the endpoint of envoy/bootstrap.yaml that has maintenance
	sorry = "503 Under maintenance. Remove maintenance file when complete"
	fine  = "200 OK"
)

// get uses a connection of its own, so that every worker gets some.
func get(url string) (string, error) {
	a, err := envoytest.Read(envoytest.Client.Get(url))
	return a.Said(), err
}

// startLoad asks from several clients at once. None of them may be left without an answer.
func startLoad(t *testing.T, url string, clients int, pause time.Duration) *envoytest.Load {
	ask := func() string {
		answer, err := get(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		return answer
	}
	return envoytest.StartLoad(t, pause, slices.Repeat([]func() string{ask}, clients)...)
}

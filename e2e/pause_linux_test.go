package e2e

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

const noClusters = `{"resources": []}`

// TestMainThreadBusy keeps Envoy's main thread alone from working for ten seconds, as an update of thousands of
// clusters does. No check fails, although readings count for no longer than by default; maintenance that was on stays
// on; and a key that was taken away meanwhile is seen soon after.
func TestMainThreadBusy(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	fails := func(s object) { s["admin"] = object{"cluster": "envoy_admin", "on_stale": "fail"} }
	config.Listener("ingress").Change(fails)
	out := config.AddListener("other")
	out.Change(fails)
	out.Change(func(s object) {
		envoytest.At[object](s, "endpoints", 0)["maintenance"] = object{"keys": []any{"other"}}
	})
	clusters := filepath.Join(t.TempDir(), "clusters.json")
	must.Write(t, clusters, noClusters)
	config.Bootstrap["dynamic_resources"] = object{"cds_config": object{
		"resource_api_version": "V3", "path_config_source": object{"path": clusters},
	}}
	b := start(t, a, config, 2)
	other := b.at(out)
	b.settle(t)
	b.envoy.SetRuntime("other", "true")
	other.within(t, envoytest.Limit, 503, sorry)
	checks, maintained := watch(t, b.balancer), watch(t, other.balancer)
	release := keepBusy(t, clusters)
	time.Sleep(10 * time.Second)
	release()
	b.envoy.SetRuntime("other", "")
	other.within(t, envoytest.Limit, 200, "OK")
	checks.Saw(t, "200 OK")
	maintained.Saw(t, "503 "+sorry, "200 OK")
}

// keepBusy keeps Envoy's main thread waiting for the end of a file of clusters that it reads: a pipe.
func keepBusy(t *testing.T, clusters string) (release func()) {
	t.Helper()
	pipe := clusters + ".pipe"
	must.Do(t, errors.Join(syscall.Mkfifo(pipe, 0o600), os.Rename(pipe, clusters)))
	var writer *os.File
	t.Cleanup(func() { _ = writer.Close() })
	envoytest.Eventually(t, envoytest.Limit, "Envoy reads the pipe", func() (err error) {
		writer, err = os.OpenFile(clusters, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	return func() {
		_, err := writer.WriteString(noClusters)
		must.Do(t, errors.Join(err, writer.Close()))
	}
}

// TestPause stops the process for longer than findings count. The checks that came meanwhile wait in its sockets, and
// Envoy may read them before its timers: none of them, nor any later one, is answered from what was found before.
func TestPause(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	b := start(t, a, envoytest.Shipped(t, envoytest.Wasm(t), a.Port), 4)
	b.settle(t)
	b.everywhere(t, 200, "OK")
	var kept []net.Conn // opened before the pause, with a worker each
	for range 12 {
		conn := must.Get(b.balancer.dial())(t)
		t.Cleanup(func() { _ = conn.Close() })
		kept = append(kept, conn)
	}
	time.Sleep(200 * time.Millisecond) // the workers accept them; if not, they do after the pause
	resume := b.envoy.Pause()
	for _, node := range nodes {
		a.Answer(alive(node), http.StatusInternalServerError)
	}
	answers := make(chan answer)
	for _, conn := range kept {
		go func() {
			got, err := exchange(conn, "GET", requestText("GET", check, ""))
			if err != nil {
				t.Error(err)
			}
			answers <- got
		}()
	}
	time.Sleep(13 * time.Second)
	resume()
	seen := map[int]int{}
	for range kept {
		seen[(<-answers).Status]++
	}
	if seen[200] > 0 {
		t.Errorf("checks that waited got %v", seen)
	}
	w := watch(t, b.balancer)
	b.within(t, envoytest.Limit, 500, "FAILED")
	b.everywhere(t, 500, "FAILED")
	w.Saw(t, "503 UNKNOWN", "500 FAILED")
	t.Logf("checks that waited got %v", seen)
}

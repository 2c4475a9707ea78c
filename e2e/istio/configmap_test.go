package istio

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// mountConfigMap brings a folder to a content as the kubelet does with the volume of a ConfigMap: the files are in a
// new folder, the link ..data is moved onto it, the files' own names are links through ..data, and the old folder goes.
func mountConfigMap(t testing.TB, dir string, data map[string]string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	next, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	check(err)
	for key, value := range data {
		check(os.WriteFile(filepath.Join(next, key), []byte(value), 0o600))
	}
	link := filepath.Join(dir, "..data")
	old, _ := os.Readlink(link) // there is none the first time
	check(os.Symlink(filepath.Base(next), link+"_tmp"))
	check(os.Rename(link+"_tmp", link))
	entries, err := os.ReadDir(dir)
	check(err)
	for _, e := range entries {
		if _, is := data[e.Name()]; !is && e.Name()[0] != '.' {
			check(os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	for key := range data {
		err := os.Symlink(filepath.Join("..data", key), filepath.Join(dir, key))
		if err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if old != "" {
		check(os.RemoveAll(filepath.Join(dir, old)))
	}
}

// testConfigMap changes runtime keys as `kubectl patch configmap` does, seen from the pod.
func testConfigMap(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	for round := range 3 {
		mountConfigMap(t, b.runtime, map[string]string{"healthgate.maintenance": "true",
			"healthgate.maintenance.reason": fmt.Sprint("round ", round)})
		b.becomes(t, 503, sorry)
		mountConfigMap(t, b.runtime, nil)
		b.becomes(t, 200, "OK")
	}
	mountConfigMap(t, b.runtime, map[string]string{"healthgate.route_maintenance": "100"})
	b.becomes(t, 503, sorry)
	mountConfigMap(t, b.runtime, nil)
	b.becomes(t, 200, "OK")
}

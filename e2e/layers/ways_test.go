package layers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// way is one way for an operator to set a runtime key. An empty value takes the key out again.
type way struct {
	name string
	key  string
	on   string
	set  func(t *testing.T, key, value string)
}

const (
	polled = "healthgate.maintenance"       // one of the endpoint's maintenance keys
	routed = "healthgate.route_maintenance" // the key of the maintenance route's runtime_fraction
)

// configMap is a volume that a kubelet keeps: its files are links through `..data`, itself a link to a folder with the
// time in its name. An update writes a new folder and renames a new link onto `..data` (Kubernetes,
// pkg/volume/util/atomic_writer.go).
type configMap struct {
	mount   string
	updates int
}

// root is what the disk layer has as symlink_root.
func (m *configMap) root() string { return filepath.Join(m.mount, "..data") }

func (m *configMap) set(t *testing.T, key, value string) {
	t.Helper()
	m.updates++
	data := fmt.Sprintf("..2026_01_02_03_04_05.%09d", m.updates)
	old, _ := os.Readlink(m.root()) // the first update finds none
	must.Do(t, os.Mkdir(filepath.Join(m.mount, data), 0o755))
	if value != "" {
		must.Do(t, os.WriteFile(filepath.Join(m.mount, data, key), []byte(value), 0o600))
	}
	next := filepath.Join(m.mount, "..data_tmp")
	must.Do(t, os.Symlink(data, next))
	must.Do(t, os.Rename(next, m.root()))
	if old != "" {
		must.Do(t, os.RemoveAll(filepath.Join(m.mount, old)))
	}
}

// rtdsFile is a file that Envoy reads as the answer of a runtime discovery service, again each time another file is
// moved onto it.
type rtdsFile struct{ path, layer string }

func (f rtdsFile) set(t *testing.T, key, value string) {
	t.Helper()
	values := envoytest.Object{}
	if value != "" {
		values[key] = value
	}
	text := envoytest.Text(envoytest.Object{"resources": []any{
		envoytest.Any("envoy.service.runtime.v3.Runtime", envoytest.Object{"name": f.layer, "layer": values}),
	}})
	next := f.path + ".next"
	must.Do(t, os.WriteFile(next, []byte(text), 0o600))
	must.Do(t, os.Rename(next, f.path))
}

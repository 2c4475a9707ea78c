package layers

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/internal/rtds"
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

// configMap is the folder of a volume that a kubelet keeps.
type configMap string

// root is what the disk layer has as symlink_root.
func (m configMap) root() string { return filepath.Join(string(m), "..data") }

func (m configMap) set(t *testing.T, key, value string) {
	t.Helper()
	data := map[string]string{}
	if value != "" {
		data[key] = value
	}
	envoytest.MountConfigMap(t, string(m), data)
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
	envoytest.Publish(t, f.path, envoytest.Object{"resources": []any{
		envoytest.Any("envoy.service.runtime.v3.Runtime", envoytest.Object{"name": f.layer, "layer": values}),
	}})
}

// rtdsServer is a runtime discovery service of this test.
type rtdsServer struct {
	*rtds.Server
	port int
}

func startRTDS(t *testing.T, layer string) rtdsServer {
	t.Helper()
	s := rtdsServer{rtds.New(layer, nil), must.Port(t)}
	listener := must.Get(net.Listen("tcp", envoytest.Loopback(s.port)))(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Errorf("runtime discovery service: %v", err)
		}
	})
	return s
}

func (s rtdsServer) set(t *testing.T, key, value string) {
	t.Helper()
	must.Do(t, s.Set(key, value))
}

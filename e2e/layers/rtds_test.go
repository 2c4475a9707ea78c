package layers

import (
	"net"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/internal/rtds"
	"github.com/healthgate/healthgate/envoy/must"
)

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

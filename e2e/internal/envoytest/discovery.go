package envoytest

import (
	"os"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// Publish moves a discovery response onto a file that Envoy watches, which then is the old one or the new one.
func Publish(t testing.TB, file string, response Object) {
	t.Helper()
	must.Write(t, file+".new", Text(response))
	must.Do(t, os.Rename(file+".new", file))
}

// PublishListener publishes a list of one listener.
func PublishListener(t testing.TB, file string, l *Listener) {
	t.Helper()
	PublishListeners(t, file, l.Object)
}

// PublishListeners publishes a list of listeners.
func PublishListeners(t testing.TB, file string, listeners ...any) {
	t.Helper()
	resources := make([]any, len(listeners))
	for i, l := range listeners {
		resources[i] = Any("envoy.config.listener.v3.Listener", l.(Object))
	}
	Publish(t, file, Object{"resources": resources})
}

// ListenersFrom has Envoy read its listeners from a file, as from a control plane, in the place of those that it has.
func (c *Config) ListenersFrom(file string) {
	c.Bootstrap["dynamic_resources"] = Object{"lds_config": Object{"path_config_source": Object{"path": file}}}
	delete(At[Object](c.Bootstrap, "static_resources"), "listeners")
}

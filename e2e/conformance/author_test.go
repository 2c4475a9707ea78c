package conformance

import (
	"io"
	"net/http"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/hostsim"
	"github.com/healthgate/healthgate/hostsim/hostsimtest"
)

// TestRunOnEnvoy plays a test on hostsim and on the Envoy of $ENVOY, as an author of a plugin would.
func TestRunOnEnvoy(t *testing.T) {
	t.Setenv("ENVOY", envoytest.Binary(t))
	played := 0
	script := hostsimtest.Build(t, "../../hostsim/testdata/script")
	hostsimtest.RunOnEnvoy(t, script,
		func(t *testing.T, do func(*hostsim.Request) *hostsim.Reply) {
			played++
			r := do(&hostsim.Request{Path: "/first"})
			if r.Status != 403 || string(r.Body) != "no" || r.Forwarded || r.Details != "denied" {
				t.Error(r)
			}
			r = do(&hostsim.Request{Method: "POST", Body: []byte("body"), Header: hostsim.Header{{"x-way", "there"}}})
			if r.Status != 200 || string(r.Body) != "body" || !r.Forwarded || r.Details != "via_upstream" ||
				r.Flags != "-" || r.Header.Get("x-added") != "yes" || r.Header.Get("x-back") != "there" ||
				r.Header.Get("x-second") != "yes" {
				t.Error(r)
			}
		},
		hostsim.PluginConfig("response_headers add_header_map_value 2 \"x-added\" \"yes\"\n"+
			"request_headers once\nrequest_headers send_local_response 403 \"denied\" \"no\" \"\" -1"),
		hostsim.Plugin(script, hostsim.PluginName("second"), hostsim.VMID("second"),
			hostsim.PluginConfig(`response_headers add_header_map_value 2 "x-second" "yes"`)),
		hostsim.SingletonService(script, hostsim.PluginName("service")),
		hostsim.Node{ID: "n", Metadata: map[string]any{"role": "edge"}}, hostsim.Env("A", "b"),
		hostsim.Upstream("backend", http.NotFoundHandler()), hostsim.Admin("admin"), hostsim.FailReload,
		hostsim.Application(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-back", r.Header.Get("x-way"))
			_, _ = io.Copy(w, r.Body) // a client that goes is seen elsewhere
		})))
	if played != 2 {
		t.Errorf("played %d times", played)
	}
}

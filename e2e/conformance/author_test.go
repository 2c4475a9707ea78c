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
	script := buildTiny(t, "../../hostsim/testdata/script", "-scheduler=none", "-no-debug")
	hostsimtest.RunOnEnvoy(t, script,
		func(t *testing.T, do func(*hostsim.Request) *hostsim.Reply) {
			played++
			r := do(&hostsim.Request{Path: "/first"}) // which the gRPC service's answer refuses
			if r.Status != 403 || string(r.Body) != "no" || r.Forwarded || r.Details != "denied" {
				t.Error(r)
			}
			r = do(&hostsim.Request{Method: "POST", Body: []byte("body"), Header: hostsim.Header{{"x-way", "there"}}})
			if r.Status != 200 || string(r.Body) != "body" || !r.Forwarded || r.Details != "via_upstream" ||
				r.Flags != "-" || r.Header.Get("x-added") != "yes" || r.Header.Get("x-back") != "there" ||
				r.Header.Get("x-second") != "yes" {
				t.Error(r)
			}
			r = do(&hostsim.Request{Method: "POST", Chunks: [][]byte{[]byte("one "), []byte("two")},
				Trailer: hostsim.Header{{"x-end", "here"}}, Peer: "192.0.2.7:4711"})
			if r.Upstream == nil || string(r.Upstream.Body) != "one two" || r.Upstream.Header.Get("x-request-id") == "" ||
				r.Upstream.Method() != "POST" || r.Upstream.Trailer.Get("x-end") != "here" {
				t.Error(r, r.Upstream)
			}
			if string(r.Body) != "one two" || r.Header.Get("x-from") != "192.0.2.7" || r.Trailer.Get("x-end") != "here" {
				t.Error(r)
			}
			r = do(&hostsim.Request{Method: "POST", Body: []byte("pieces"), ChunkSize: 4})
			if string(r.Body) != "pieces" || r.Upstream == nil || r.Upstream.Header.Has("content-length") {
				t.Error(r, r.Upstream)
			}
			if r = do(&hostsim.Request{Path: "/backend"}); r.Status != 404 || r.Upstream == nil ||
				r.Upstream.Path() != "/backend" || r.Details != "via_upstream" {
				t.Error(r)
			}
			if r = do(&hostsim.Request{Path: "/#part", Peer: "[2001:db8::7]:4711"}); r.Status != 400 {
				t.Error(r)
			}
		},
		hostsim.Routes(hostsim.Route{Name: "b", Prefix: "/backend", Cluster: "backend",
			Metadata: map[string]map[string]any{"ns": {"k": "v"}}}, hostsim.Route{}),
		hostsim.PluginConfig("response_headers add_header_map_value 2 \"x-added\" \"yes\"\n"+
			"request_headers once\nrequest_headers grpc_call \"rpc\" \"Service\" \"echo\" \"\" \"hello\" 5000\n"+
			"request_headers return 1\ngrpc_receive set_effective_context $stream\n"+
			"grpc_receive send_local_response 403 \"denied\" \"no\" \"\" -1"),
		hostsim.Plugin(script, hostsim.PluginName("second"), hostsim.VMID("second"),
			hostsim.PluginConfig(`response_headers add_header_map_value 2 "x-second" "yes"`)),
		hostsim.SingletonService(script, hostsim.PluginName("service")),
		hostsim.Node{ID: "n", Metadata: map[string]any{"role": "edge"}}, hostsim.Env("A", "b"),
		hostsim.Upstream("backend", http.NotFoundHandler()), hostsim.Admin("admin"), hostsim.FailReload,
		hostsim.UpstreamGRPC("rpc", http.HandlerFunc(serveGrpc)),
		hostsim.UseRemoteAddress(true), hostsim.EnableTrailers(true),
		hostsim.Application(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // a client that goes is seen elsewhere
			w.Header().Set("x-back", r.Header.Get("x-way"))
			w.Header().Set("x-from", r.Header.Get("x-forwarded-for"))
			w.Header().Set(http.TrailerPrefix+"x-end", r.Trailer.Get("x-end"))
			_, _ = w.Write(body)
		})))
	if played != 2 {
		t.Errorf("played %d times", played)
	}
}

package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcServices is grpcHealth where a check may ask for the server and one service. The probe is sent as checks come, so
// they wait twice: for their body and for the probe. The endpoint of HTTP is decided by the same probe.
var grpcServices = strings.NewReplacer("grpc: true", "grpc: {services: [shop.v1.Shop]}",
	"probes: [", "probes: [{name: asked, cluster: app, timeout: 5s, grpc: {service: own}, on_demand: {max_age: 100ms}}, ",
	"probes: {names: [own]}", `probes: {names: [own, asked]}
- {name: http, paths: [/hc], methods: [POST], trusted: {cidrs: [127.0.0.1]}, probes: {names: [asked]},
   healthy: {body: OK, content_type: text/plain}}`,
).Replace(grpcHealth)

// TestGRPCServices: where services are named, a check that names another one is told so, whatever holds. Whoever is not
// trusted asks the application, which knows other services.
func TestGRPCServices(t *testing.T) {
	t.Parallel()
	b := startGRPC(t, grpcServices)
	b.becomes(t, "SERVING")
	for _, step := range []struct {
		maintenance, answer string
		own                 grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		// Each step changes the answer, so that one of the step before is not taken for its own.
		{"", "SERVING", serving}, {"", "NOT_SERVING", notServing}, {"", "SERVING", serving}, {"true", "NOT_SERVING", serving},
	} {
		b.SetRuntime("healthgate.maintenance", step.maintenance)
		b.set(step.own)
		b.becomes(t, step.answer)
		for service, want := range map[string]string{
			"": step.answer, "shop.v1.Shop": step.answer, "shop.v1.Sho": "NotFound", "shop.v1.Shopp": "NotFound",
			"own": "NotFound", strings.Repeat("x", 127): "NotFound", strings.Repeat("x", 128): "ResourceExhausted",
			strings.Repeat("x", 1<<20): "ResourceExhausted",
		} {
			name := service[:min(len(service), 20)]
			if got := says(t.Context(), b.balancer, service); got != want {
				t.Errorf("%+v: Check of %q, %d bytes: %s, want %s", step, name, len(service), got, want)
			}
			want := map[string]string{"": "SERVING", "own": step.own.String()}[service]
			if want == "" {
				want = "NotFound"
			}
			if got := says(t.Context(), b.untrusted, service); got != want {
				t.Errorf("%+v: the untrusted's Check of %q, %d bytes: %s, want %s", step, name, len(service), got, want)
			}
		}
		watch, err := b.balancer.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%+v: Watch of the balancer: %v", step, err)
		}
	}
}

// TestBodiesOfGRPCServices: what comes of a check is up to its whole body, in however many pieces it comes. The body of
// a check of HTTP that waits for a probe does not let it pass.
func TestBodiesOfGRPCServices(t *testing.T) {
	t.Parallel()
	b := startGRPC(t, grpcServices)
	b.SetRuntime("healthgate.maintenance", "true")
	b.becomes(t, "NOT_SERVING")
	const out = "200 0 \x00\x00\x00\x00\x02\b\x02"
	for _, test := range []struct {
		name  string
		path  string
		parts []string // nil: no body
		want  string   // HTTP status, grpc-status and body
	}{
		{"no name", "", []string{"\x00\x00\x00\x00\x00"}, out},
		{"an empty name", "", []string{"\x00\x00\x00\x00\x02\x0a\x00"}, out},
		{"pieces", "", []string{"\x00\x00", "\x00\x00\x0e\x0a", "\x0cshop.v1", ".Shop"}, out},
		{"a query", "?a", []string{"\x00\x00\x00\x00\x0e\x0a\x0cshop.v1.Shop"}, out},
		{"no body", "", nil, "200 12 "},
		{"an empty body", "", []string{}, "200 12 "},
		{"compressed", "", []string{"\x01\x00\x00\x00\x01x"}, "200 12 "},
		{"two messages", "", []string{"\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00"}, "200 12 "},
		{"half a frame", "", []string{"\x00\x00"}, "200 13 "},
		{"cut", "", []string{"\x00\x00\x00\x00\x0e\x0a\x0cshop"}, "200 13 "},
		{"another field", "", []string{"\x00\x00\x00\x00\x02\x08\x01"}, "200 13 "},
		{"five megabytes", "", []string{"\x00\x00\x50\x00\x00", strings.Repeat("x", 5<<20)}, "200 8 "},
		{"HTTP that waits", "/hc", []string{"a", "b"}, "200  OK"},
	} {
		path := test.path
		if path == "" || path[0] == '?' {
			path = config.GRPCCheck + path
		}
		for i := range 3 { // a probe on demand is due before some of them
			request := must.Get(http.NewRequestWithContext(t.Context(), "POST", "http://"+b.address+path, nil))(t)
			if test.parts != nil {
				reader, writer := io.Pipe()
				go func() {
					for _, part := range test.parts {
						if _, err := io.WriteString(writer, part); err != nil { // it was answered before the last
							break
						}
					}
					_ = writer.Close()
				}()
				request.Body = reader
				if i == 1 { // trailers end the request, and not its body
					request.Trailer = http.Header{"X-End": {"1"}}
				}
			}
			if test.path != "/hc" {
				request.Header.Set("Content-Type", "application/grpc")
			}
			if got := answered(t, request); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const grpcHealth = `
endpoints:
- name: shop
  grpc: true
  trusted: {cidrs: [127.0.0.1]}
  maintenance: {keys: [healthgate.maintenance], route_metadata: true}
  probes: {names: [own]}
probes: [{name: own, cluster: app, interval: 100ms, timeout: 5s, grpc: {service: own}}]
admin: {cluster: envoy_admin, interval: 100ms, timeout: 5s}
`

// grpcBench is an Envoy that answers gRPC's checks, in front of a grpc-go server with a health service of its own.
type grpcBench struct {
	*envoytest.Envoy
	address   string
	own       *health.Server
	set       func(grpc_health_v1.HealthCheckResponse_ServingStatus)
	balancer  grpc_health_v1.HealthClient // is trusted
	untrusted grpc_health_v1.HealthClient
}

// startGRPC renders a document, and starts an Envoy with it.
func startGRPC(t *testing.T, document string) *grpcBench {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	b := &grpcBench{own: health.NewServer(), address: envoytest.Loopback(must.Port(t))}
	b.set = func(s grpc_health_v1.HealthCheckResponse_ServingStatus) { b.own.SetServingStatus("own", s) }
	b.set(serving)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, b.own)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	must.Write(t, file, document)
	admin := must.Port(t)
	text := envoytest.Healthgate(t, "render", "envoy", file, "--wasm", envoytest.Wasm(t), "--runtime-dir", "",
		"--listen", b.address, "--admin", envoytest.Loopback(admin), "--cluster", "app="+listener.Addr().String())
	b.Envoy = envoytest.Start(t, envoytest.FromYAML(t, text, admin), 2)
	client := func(source string) grpc_health_v1.HealthClient {
		c := must.Get(grpc.NewClient("passthrough:///"+b.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
				return envoytest.DialerFrom(source, envoytest.Limit).DialContext(ctx, "tcp", to)
			})))(t)
		t.Cleanup(func() { _ = c.Close() })
		return grpc_health_v1.NewHealthClient(c)
	}
	b.balancer, b.untrusted = client("127.0.0.1"), client("127.0.0.2")
	return b
}

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
)

// says returns what a Check is answered: the state, or else the code.
func says(ctx context.Context, c grpc_health_v1.HealthClient, service string) string {
	answer, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		return status.Code(err).String()
	}
	return answer.Status.String()
}

func (b *grpcBench) becomes(t *testing.T, want string) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, "the check says "+want, func() error {
		if got := says(t.Context(), b.balancer, ""); got != want {
			return errors.New(got)
		}
		return nil
	})
}

// TestGRPCHealth runs its parts one after the other, on one Envoy.
func TestGRPCHealth(t *testing.T) {
	t.Parallel()
	b := startGRPC(t, grpcHealth)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *grpcBench)
	}{
		{"states", testStatesByGRPC},
		{"untrusted", testUntrustedGRPC},
		{"odd checks", testOddChecksOfGRPC},
		{"an Envoy that checks", testEnvoyChecksByGRPC},
		{"grpc-health-probe", testGRPCHealthProbe},
	} {
		t.Run(part.name, func(t *testing.T) {
			b.SetRuntime("healthgate.maintenance", "")
			b.set(serving)
			b.becomes(t, "SERVING")
			part.run(t, b)
		})
	}
	for _, line := range b.AccessLog.Lines("healthgate_grpc") {
		t.Errorf("a check is in the access log: %s", line)
	}
}

// testStatesByGRPC: the health service of gRPC at the proxy answers as a check of HTTP would be answered, whatever the
// application's own says, which is for those who are not trusted.
func testStatesByGRPC(t *testing.T, b *grpcBench) {
	if got := says(t.Context(), b.balancer, "own"); got != "SERVING" {
		t.Errorf("a named service: %s", got)
	}
	for _, step := range []struct {
		name, while string
		change      func(on bool)
	}{
		{"maintenance by key, which the command is sure of", "NOT_SERVING", func(on bool) {
			envoytest.Healthgate(t, "maintenance", map[bool]string{true: "on", false: "off"}[on], "healthgate.maintenance",
				"--admin", envoytest.Loopback(b.Config.AdminPort))
		}},
		{"maintenance by route", "NOT_SERVING", func(on bool) {
			b.SetRuntime("healthgate.route_maintenance", yes(on, "100"))
		}},
		{"a probe that fails", "NOT_SERVING", func(on bool) {
			b.set(map[bool]grpc_health_v1.HealthCheckResponse_ServingStatus{true: notServing, false: serving}[on])
		}},
		{"draining", "NOT_SERVING", func(on bool) {
			b.Post("/healthcheck/" + map[bool]string{true: "fail", false: "ok"}[on])
		}},
	} {
		t.Log(step.name)
		step.change(true)
		b.becomes(t, step.while)
		step.change(false)
		b.becomes(t, "SERVING")
	}
	watch, err := b.balancer.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("Watch of the balancer: %v", err)
	}
}

func yes(on bool, value string) string {
	if on {
		return value
	}
	return ""
}

// testUntrustedGRPC: who is not trusted reaches the application's own health service, and so does whoever sends the
// header that tells Envoy's routes the answer.
func testUntrustedGRPC(t *testing.T, b *grpcBench) {
	b.SetRuntime("healthgate.maintenance", "true")
	b.becomes(t, "NOT_SERVING")
	for _, forged := range []string{"", "SERVING", "NOT_SERVING"} {
		ctx := t.Context()
		if forged != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-healthgate-grpc", forged)
		}
		for service, want := range map[string]string{"": "SERVING", "own": "SERVING", "nobody's": "NotFound"} {
			if got := says(ctx, b.untrusted, service); got != want {
				t.Errorf("Check of %q with the header %q: %s, want %s", service, forged, got, want)
			}
			if got := says(ctx, b.balancer, service); forged != "" && got != want {
				t.Errorf("the balancer's Check of %q with the header %q: %s, want %s", service, forged, got, want)
			}
		}
	}
	watch := must.Get(b.untrusted.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "own"}))(t)
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{serving, notServing} {
		b.set(want)
		envoytest.Eventually(t, envoytest.Limit, "the application's Watch", func() error {
			answer, err := watch.Recv()
			if err != nil || answer.Status != want {
				return fmt.Errorf("%v, %w", answer, err)
			}
			return nil
		})
	}
	request, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.address+"/grpc.health.v1.Health/Check", nil)
	request.Header.Set("X-Healthgate-Grpc", "SERVING")
	if answer, err := http.DefaultClient.Do(request); err != nil || answer.StatusCode == 200 {
		t.Errorf("the balancer's POST that is not of gRPC: %v, %v", answer, err)
	}
}

// testOddChecksOfGRPC: what breaks the protocol of gRPC, or asks Envoy for retries and timeouts, never makes an
// instance in maintenance look healthy.
func testOddChecksOfGRPC(t *testing.T, b *grpcBench) {
	b.SetRuntime("healthgate.maintenance", "true")
	b.becomes(t, "NOT_SERVING")
	const empty, out = "\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x02\b\x02"
	for _, test := range []struct {
		name, path, contentType, body string
		headers                       http.Header
		want                          string // HTTP status, grpc-status and body
	}{
		{name: "a query", path: "?a", body: empty, want: "200 0 " + out},
		{name: "JSON", contentType: "+json", body: empty, want: "200 0 " + out},
		{name: "two messages", body: empty + empty, want: "200 0 " + out},
		{name: "a megabyte", body: "\x00\x00\x10\x00\x00" + strings.Repeat("x", 1<<20), want: "200 0 " + out},
		{name: "compressed", body: "\x01\x00\x00\x00\x01x", headers: http.Header{"Grpc-Encoding": {"gzip"}},
			want: "200 0 " + out},
		{name: "much metadata", body: empty, headers: http.Header{"X-Much": {strings.Repeat("y", 40_000)}},
			want: "200 0 " + out},
		{name: "retries and timeouts", body: empty, headers: http.Header{
			"X-Envoy-Retry-On": {"retriable-status-codes,5xx"}, "X-Envoy-Retriable-Status-Codes": {"200"},
			"X-Envoy-Retry-Grpc-On": {"unavailable"}, "X-Envoy-Max-Retries": {"3"}, "X-Envoy-Upstream-Rq-Timeout-Ms": {"1000"},
			"X-Envoy-Upstream-Alt-Stat-Name": {"other"}, "X-Envoy-Original-Path": {"/"}}, want: "200 0 " + out},
		{name: "no message", want: "200 12 "},
		{name: "grpc-web", contentType: "-web+proto", body: empty, want: "404  "},
		{name: "grpc-web as text", contentType: "-web-text", body: "AAAAAAA=", want: "404  "},
		{name: "no kind of gRPC", contentType: "x", body: empty, want: "404  "},
	} {
		request := must.Get(http.NewRequestWithContext(t.Context(), "POST",
			"http://"+b.address+config.GRPCCheck+test.path, strings.NewReader(test.body)))(t)
		maps.Copy(request.Header, test.headers)
		request.Header.Set("Content-Type", "application/grpc"+test.contentType)
		if got := answered(t, request); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// answered sends a request by HTTP/2, and returns the answer's HTTP status, grpc-status and body, or why there is none.
func answered(t *testing.T, request *http.Request) string {
	t.Helper()
	response, err := http2Client().Do(request)
	if err != nil {
		return err.Error()
	}
	a := must.Get(envoytest.Read(response, nil))(t)
	status := a.Header.Get("Grpc-Status") + response.Trailer.Get("Grpc-Status")
	return fmt.Sprint(a.Status, " ", status, " ", a.Body)
}

// http2Client returns a client that speaks HTTP/2 without TLS.
func http2Client() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: &protocols, DisableKeepAlives: true}}
}

// testEnvoyChecksByGRPC: an Envoy whose health checks are of gRPC takes the instance out, and back.
func testEnvoyChecksByGRPC(t *testing.T, b *grpcBench) {
	_, port, _ := net.SplitHostPort(b.address)
	front := must.Port(t)
	checker := envoytest.Start(t, envoytest.FromYAML(t, fmt.Sprintf(`
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources:
  clusters:
  - name: app
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    health_checks:
    - {timeout: 5s, interval: 0.1s, no_traffic_interval: 0.1s, unhealthy_threshold: 1, healthy_threshold: 1,
       grpc_health_check: {}}
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]
`, front, port), front), 1)
	for _, step := range []struct {
		maintenance string
		healthy     int
	}{{"", 1}, {"true", 0}, {"", 1}} {
		b.SetRuntime("healthgate.maintenance", step.maintenance)
		envoytest.Eventually(t, envoytest.Limit, "the checker sees it", func() error {
			return checker.Stat("cluster.app.membership_healthy", step.healthy)
		})
	}
}

// testGRPCHealthProbe: the program that pods bring along to ask their own service.
func testGRPCHealthProbe(t *testing.T, b *grpcBench) {
	tools := must.Get(filepath.Abs(filepath.Join(envoytest.Root, "build", "tools")))(t)
	install := exec.Command("go", "install", "github.com/grpc-ecosystem/grpc-health-probe@v0.4.38")
	install.Env = append(os.Environ(), "GOBIN="+tools)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, step := range []struct{ maintenance, want string }{
		{"", "status: SERVING"}, {"true", `service unhealthy (responded with "NOT_SERVING")`}, {"", "status: SERVING"},
	} {
		b.SetRuntime("healthgate.maintenance", step.maintenance)
		envoytest.Eventually(t, envoytest.Limit, step.want, func() error {
			out, err := exec.Command(filepath.Join(tools, "grpc-health-probe"), "-addr", b.address).CombinedOutput()
			if said := strings.TrimSpace(string(out)); said != step.want || (err == nil) != (step.maintenance == "") {
				return fmt.Errorf("%s, %w", said, err)
			}
			return nil
		})
	}
}

// TestStatusOfGRPCAlone plays the block of docs/configuration.md for those that look at grpc-status alone.
func TestStatusOfGRPCAlone(t *testing.T) {
	t.Parallel()
	text := must.Read(t, filepath.Join(envoytest.Root, "docs", "configuration.md"))
	_, block, _ := strings.Cut(text, "```yaml\nendpoints:\n- name: alb-grpc\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("docs/configuration.md has no such block")
	}
	b := startGRPC(t, "endpoints:\n- name: alb-grpc\n"+strings.Replace(block, "10.0.0.0/8", "127.0.0.1", 1))
	client := http2Client()
	for _, step := range []struct{ maintenance, want string }{{"", "0"}, {"true", "14"}, {"", "0"}} {
		b.SetRuntime("healthgate.maintenance", step.maintenance)
		envoytest.Eventually(t, envoytest.Limit, "grpc-status "+step.want, func() error {
			request, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.address+"/AWS.ALB/healthcheck",
				strings.NewReader("\x00\x00\x00\x00\x00"))
			request.Header.Set("Content-Type", "application/grpc")
			a, err := envoytest.Read(client.Do(request))
			if got := a.Header.Get("Grpc-Status"); err == nil && (got != step.want || a.Status != 200) {
				err = fmt.Errorf("%d, grpc-status %q", a.Status, got)
			}
			return err
		})
	}
}

// grpcServices is grpcHealth where a check may ask for the server and one service. The probe is sent as checks come, so
// they wait twice: for their body and for the probe. The endpoint of HTTP is decided by the same probe.
var grpcServices = strings.NewReplacer("grpc: true", "grpc: {services: [shop.v1.Shop]}",
	"probes: [", "probes: [{name: asked, cluster: app, timeout: 5s, grpc: {service: own}, on_demand: {max_age: 100ms}}, ",
	"probes: {names: [own]}", `probes: {names: [own, asked]}
- {name: http, paths: [/hc], methods: [POST], trusted: {cidrs: [127.0.0.1]}, probes: {names: [asked]},
   healthy: {body: OK, content_type: text/plain}}`,
).Replace(grpcHealth)

func TestGRPCServices(t *testing.T) {
	t.Parallel()
	b := startGRPC(t, grpcServices)
	t.Run("names", func(t *testing.T) { testNamesOfGRPCServices(t, b) })
	t.Run("bodies", func(t *testing.T) { testBodiesOfGRPCServices(t, b) })
}

// testNamesOfGRPCServices: where services are named, a check that names another one is told so, whatever holds. Whoever
// is not trusted asks the application, which knows other services.
func testNamesOfGRPCServices(t *testing.T, b *grpcBench) {
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

// testBodiesOfGRPCServices: what comes of a check is up to its whole body, in however many pieces it comes. The body of
// a check of HTTP that waits for a probe does not let it pass.
func testBodiesOfGRPCServices(t *testing.T, b *grpcBench) {
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

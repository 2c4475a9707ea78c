package operator

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// merged is what is merged into each of testdata/into.
const merged = `endpoints:
- name: edge
  paths: [/healthz]
  trusted: {cidrs: [127.0.0.1/32]}
  maintenance: {keys: [healthgate.maintenance], route_metadata: true, body: out}
  probes: {policy: all, names: [app]}
probes: [{name: app, cluster: app, path: /isalive, interval: 300ms, timeout: 10s}]
admin: {cluster: envoy_admin, interval: 300ms, timeout: 10s}
`

// ofGRPC is merged, too, where the gate is by route.
const ofGRPC = `
- name: grpc
  grpc: true
  trusted: {cidrs: [127.0.0.1/32]}
  maintenance: {keys: [healthgate.maintenance], route_metadata: true}
probes:`

// wild is an Envoy whose configuration was not written for healthgate.
type wild struct {
	folder, admin string
	listeners     []string
}

// newWild writes the files of a case, with ports of its own.
func newWild(t *testing.T, text string, appPort int) *wild {
	t.Helper()
	w := &wild{folder: t.TempDir(), listeners: []string{envoytest.Loopback(must.Port(t)),
		envoytest.Loopback(must.Port(t))}}
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	w.admin = envoytest.Loopback(must.Port(t))
	text = strings.NewReplacer("$web", port(w.listeners[0]), "$edge", port(w.listeners[1]), "$admin", port(w.admin),
		"$metrics", strconv.Itoa(must.Port(t)), "$app", strconv.Itoa(appPort), "$dir", w.folder).Replace(text)
	if strings.Contains(text, "/admin.sock") {
		w.admin = "unix://" + w.folder + "/admin.sock"
	}
	for part := range strings.SplitSeq(text, "\n=== ") {
		if name, text, _ := strings.Cut(part, "\n"); !strings.HasPrefix(name, "#") {
			must.Write(t, filepath.Join(w.folder, name), text)
		}
	}
	return w
}

func (w *wild) bootstrap() string {
	if file := filepath.Join(w.folder, "envoy.json"); exists(file) {
		return file
	}
	return filepath.Join(w.folder, "envoy.yaml")
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (w *wild) start(t *testing.T) {
	t.Helper()
	_, log := envoytest.Program(t, exec.Command(envoytest.Binary(t), "-c", w.bootstrap(), "--disable-hot-restart",
		"--concurrency", "2", "-l", "warning"))
	for _, address := range w.listeners {
		envoytest.Eventually(t, envoytest.Limit, "a listener", func() error {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return fmt.Errorf("%w\n%s", err, log.Tail(2000))
			}
			return c.Close()
		})
	}
}

// ask sends a request, METHOD PATH and perhaps headers NAME=VALUE, to a virtual host; where its headers are of gRPC, a
// message without fields.
func ask(t *testing.T, source, address, host, request string) (envoytest.Answer, error) {
	t.Helper()
	words := strings.Fields(request)
	r := must.Get(http.NewRequestWithContext(t.Context(), words[0], "http://"+address+words[1], nil))(t)
	r.Host = host
	for _, header := range words[2:] {
		name, value, _ := strings.Cut(header, "=")
		r.Header.Set(name, value)
	}
	var protocols http.Protocols
	if protocols.SetHTTP1(true); r.Header.Get("content-type") == "application/grpc" {
		protocols.SetHTTP1(false)
		protocols.SetUnencryptedHTTP2(true)
		r.Body = io.NopCloser(strings.NewReader("\x00\x00\x00\x00\x00"))
	}
	transport := &http.Transport{DisableKeepAlives: true, Protocols: &protocols,
		DialContext: envoytest.DialerFrom(source, envoytest.Limit).DialContext}
	response, err := transport.RoundTrip(r)
	a, err := envoytest.Read(response, err)
	if err != nil {
		return a, err
	}
	for _, name := range []string{"Date", "X-Envoy-Upstream-Service-Time"} {
		a.Header.Del(name)
	}
	if code := response.Trailer.Get("grpc-status"); code != "" {
		a.Header.Set("grpc-status", code)
	}
	return a, nil
}

// echo answers with what the application got.
func echo(w http.ResponseWriter, r *http.Request) {
	var got []string
	for name, values := range r.Header {
		if name != "X-Request-Id" {
			got = append(got, fmt.Sprint(name, "=", values))
		}
	}
	slices.Sort(got)
	fmt.Fprintln(w, r.Method, r.RequestURI, r.Host, got)
}

// TestInto merges healthgate into configurations that were not written for it. What is no check gets what it got
// before, a check gets the plugin's answer, and maintenance reaches it, by key and by route.
func TestInto(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/into/*")
	if err != nil || len(cases) < 3 {
		t.Fatal(cases, err)
	}
	for _, file := range cases {
		for _, gate := range []string{"route", "matcher"} {
			t.Run(filepath.Base(file)+" by "+gate, func(t *testing.T) {
				t.Parallel()
				text := must.Read(t, file)
				into(t, text, gate)
			})
		}
	}
}

const grpcCheck = "POST /grpc.health.v1.Health/Check content-type=application/grpc te=trailers"

// messages are what a check of gRPC is answered when one of HTTP gets a status.
var messages = map[int]string{200: "\x00\x00\x00\x00\x02\x08\x01", 503: "\x00\x00\x00\x00\x02\x08\x02"}

func into(t *testing.T, text, gate string) {
	t.Helper()
	application := app.Serve(t, http.HandlerFunc(echo))
	before, after := newWild(t, text, application.Port), newWild(t, text, application.Port)
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	byRoute := gate == "route"
	asked := merged
	if byRoute {
		asked = strings.Replace(merged, "\nprobes:", ofGRPC, 1)
	}
	must.Write(t, file, asked)
	bootstrap := after.bootstrap()
	run(t, "render", "envoy", file, "--into", bootstrap, "--gate", gate, "--wasm", envoytest.Wasm(t),
		"-o", bootstrap).is(t, 0)
	run(t, "lint", bootstrap, file).is(t, 0)
	before.start(t)
	after.start(t)
	hosts := []string{"shop.example", "old.example", "exact.example", "10.0.3.17:8080"}
	for i, address := range after.listeners {
		for _, host := range hosts {
			for _, request := range []string{"GET /", "GET /healthz", "GET /healthz?deep=1", "POST /healthz", "GET /healthz/",
				"GET /healthz/deep", "GET /healthzz", "GET /HEALTHZ", "GET /closed", "GET /healthz x-beta=1",
				"GET /HEALTHZ x-old=1", "GET /healthz x-forwarded-for=127.0.0.1", "HEAD /healthz",
				grpcCheck, grpcCheck + " x-beta=1", "POST /grpc.health.v1.Health/Watch content-type=application/grpc"} {
				want, err := ask(t, "127.0.0.2", before.listeners[i], host, request)
				got, err2 := ask(t, "127.0.0.2", address, host, request)
				if err != nil || err2 != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s, listener %d, %s: got %v, %v; before the merge %v, %v", host, i+1, request, got, err2, want, err)
				}
			}
			want, err := ask(t, "127.0.0.1", before.listeners[i], host, grpcCheck)
			got, err2 := ask(t, "127.0.0.1", address, host, grpcCheck+" x-healthgate-grpc=SERVING")
			if byRoute && (err != nil || err2 != nil || fmt.Sprint(got) != fmt.Sprint(want)) {
				t.Errorf("%s, listener %d: who says the answer gets %v, %v; before the merge %v, %v", host, i+1, got, err2, want,
					err)
			}
		}
	}
	all := func(status int, body string) {
		t.Helper()
		for _, address := range after.listeners {
			for _, host := range hosts {
				for _, request := range []string{"GET /healthz", "GET /healthz?deep=1", "GET /healthz x-beta=1"} {
					envoytest.Eventually(t, envoytest.Limit, fmt.Sprint(host, " ", request, " gets ", status), func() error {
						got, err := ask(t, "127.0.0.1", address, host, request)
						if err != nil || got.Status != status || body != "" && got.Body != body {
							return fmt.Errorf("%v %w", got, err)
						}
						return nil
					})
				}
				if got, err := ask(t, "127.0.0.1", address, host, grpcCheck); byRoute && (err != nil ||
					got.Header.Get("grpc-status") != "0" || got.Body != messages[status]) {
					t.Errorf("%s, a check of gRPC while those of HTTP get %d: %v %v", host, status, got, err)
				}
			}
		}
	}
	all(200, "")
	for _, by := range [][]string{nil, {"--route"}} {
		arguments := append([]string{"--admin", after.admin, "--wait", envoytest.Limit.String()}, by...)
		if strings.Contains(text, "scoped_routes") { // of which admin does not say which route takes a check
			arguments = append(arguments, "--verify", "http://"+after.listeners[len(after.listeners)-1]+"/healthz")
		}
		run(t, append([]string{"maintenance", "on"}, arguments...)...).is(t, 0)
		all(503, "out")
		run(t, append([]string{"maintenance", "off"}, arguments...)...).is(t, 0)
		all(200, "")
	}
}

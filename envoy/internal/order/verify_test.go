package order

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// A check is sent as the endpoint wants it, and what it gets is held against the endpoint's own reply. It counts only
// when the plugin of the asked Envoy gave it.
func TestVerify(t *testing.T) {
	t.Parallel()
	const off, on = false, true
	for _, test := range []struct {
		name    string
		on      bool
		status  int
		counted string // as which outcome; empty: somebody else answers
		want    string
	}{
		{"in maintenance", on, 503, "maintenance", ""},
		{"not yet", on, 200, "healthy", "gets 200 OK, and in maintenance it is 503"},
		{"the same reply of somebody else", on, 503, "", "not from this Envoy's plugin, which has not counted it"},
		{"the same reply, but for a header", on, 503, "untyped", "without the header content-type: text/plain of its reply"},
		{"the same reply of an unhealthy endpoint", on, 503, "unhealthy", "not from this Envoy's plugin"},
		{"refused", on, 503, "untrusted", "its endpoint does not trust the address of this machine"},
		{"others are counted, too", on, 503, "maintenance and others", ""},
		{"only others are counted", on, 503, "others", "not from this Envoy's plugin"},
		{"only others are counted, on a slow way", on, 503, "rarely", "not from this Envoy's plugin"},
		{"no metrics", on, 503, "none",
			"whether this Envoy's plugin answers it is not known: its configuration has healthgate"},
		{"stats forbidden", on, 503, "forbidden", "is not known: GET /stats was answered 403"},
		{"healthy", off, 200, "healthy", ""},
		{"still in maintenance", off, 503, "maintenance", "gets 503 Service Unavailable, and when all is well it is 200\n"},
		{"not found, by somebody else", off, 404, "", "gets 404 Not Found, and when all is well it is 200: as where " +
			"no route of Envoy's takes its host and path; this Envoy's plugin has not counted it"},
		{"passed on to the application", on, 200, "untrusted",
			"; this Envoy's plugin has counted a check from an address that its endpoint does not trust"},
		{"a plugin that does not run", off, 503, "none", "and when all is well it is 200; whether this Envoy's plugin " +
			"answers it is not known: its configuration has healthgate, and no metric of"},
		{"unhealthy", off, 500, "unhealthy", "gets 500 Internal Server Error, and when all is well it is 200"},
		{"healthy, by somebody else", off, 200, "", "not from this Envoy's plugin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var checks, asked atomic.Int32
			begin := time.Now()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				checks.Add(1)
				if r.Method != http.MethodHead || r.Host != "shop" || r.Header.Get("x") != "y" ||
					r.Header["U"] == nil || r.Header["N"] != nil {
					t.Errorf("%s %s %v", r.Method, r.Host, r.Header)
				}
				w.Header().Set("Content-Type", map[int]string{200: "text/html", 503: "text/plain"}[test.status])
				w.Header().Set("Server", "envoy")
				if test.counted == "rarely" {
					time.Sleep(450 * time.Millisecond) // the way is slow
				}
				if test.counted == "untyped" {
					w.Header().Set("Content-Type", "text/css")
				}
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			client, _ := answers{"/stats": func(w http.ResponseWriter) {
				switch test.counted {
				case "forbidden":
					w.WriteHeader(http.StatusForbidden)
				case "none":
				default:
					for _, outcome := range []string{"maintenance", "healthy", "unhealthy", "untrusted"} {
						n := int32(7)
						if strings.HasPrefix(test.counted, outcome) {
							n += checks.Load()
						}
						if outcome == "maintenance" && strings.HasSuffix(test.counted, "others") {
							n += 5 * asked.Add(1)
						}
						if outcome == "maintenance" && test.counted == "rarely" {
							n += int32(time.Since(begin) / (400 * time.Millisecond))
						}
						fmt.Fprintf(w, "wasmcustom.healthgate_checks_total.endpoint.a.verdict.%s: %d\n", outcome, n)
					}
				}
			}}.start(t)
			e := &Envoy{client: client, key: "k", known: read(t)}
			name, lack := e.verify(t.Context(), Order{Key: "k", On: test.on}, server.URL+"/a?token=s3cret")
			if (lack.what == "") != (test.want == "") || !strings.Contains(lack.what+"\n", test.want) ||
				strings.Contains(lack.what, "s3cret") || (name == "a") != (test.want == "") {
				t.Errorf("%q: %s", name, lack.what)
			}
		})
	}
}

// A 503 without a body is that of a plugin that has crashed, unless the plugin has counted it.
func TestVerifyCrashed(t *testing.T) {
	t.Parallel()
	for counts, want := range map[int32]bool{0: true, 1: false} {
		server, checks := inMaintenance(t)
		client, _ := answers{"/stats": func(w http.ResponseWriter) {
			fmt.Fprintf(w, "wasmcustom.healthgate_checks_total.endpoint.a.verdict.maintenance: %d\n", counts*checks.Load())
		}}.start(t)
		e := &Envoy{client: client, key: "k", known: read(t, "FAIL_RELOAD", "FAIL_CLOSED")}
		_, lack := e.verify(t.Context(), Order{Key: "k"}, server.URL+"/a")
		if strings.Contains(lack.what, "as from a worker whose plugin has crashed") != want || lack.final != want {
			t.Errorf("counted %d: %+v", counts, lack)
		}
	}
}

// A check of gRPC is one, and its answer is a message, or an error.
func TestVerifyGRPC(t *testing.T) {
	t.Parallel()
	const frame = "\x00\x00\x00\x00"
	for _, test := range []struct {
		on           bool
		body, status string
		want         string
	}{
		{true, frame + "\x02\x08\x02", "", ""},
		{false, frame + "\x02\x08\x01", "", ""},
		{true, frame + "\x02\x08\x01", "", "gets SERVING, and in maintenance it is NOT_SERVING"},
		{false, frame + "\x02\x08\x02", "", "gets NOT_SERVING, and when all is well it is SERVING"},
		{false, "", "12", "gets grpc-status 12, and when all is well it is SERVING"},
	} {
		var checks atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			checks.Add(1)
			if body, err := io.ReadAll(r.Body); err != nil || r.Method != http.MethodPost || string(body) != frame+"\x00" ||
				r.Header.Get("Content-Type") != "application/grpc" {
				t.Errorf("%s %q %v", r.Method, body, r.Header)
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", test.status)
			_, _ = io.WriteString(w, test.body)
		}))
		t.Cleanup(server.Close)
		client, _ := answers{"/stats": func(w http.ResponseWriter) {
			for _, outcome := range []string{"maintenance", "healthy"} {
				fmt.Fprintf(w, "wasmcustom.healthgate_checks_total.endpoint.b.verdict.%s: %d\n", outcome, checks.Load())
			}
		}}.start(t)
		e := &Envoy{client: client, key: "k", known: read(t, `"name": "b", "paths": ["/b"],`,
			`"name": "b", "grpc": true, "maintenance": {"keys": ["k"]},`)}
		_, lack := e.verify(t.Context(), Order{Key: "k", On: test.on}, server.URL+"/grpc.health.v1.Health/Check")
		if !strings.Contains(lack.what, test.want) || (lack.what == "") != (test.want == "") {
			t.Errorf("%q: %s", test.want, lack.what)
		}
	}
}

// Two plugins have an endpoint of one name at one path. Each spelling of a URL is a check of the plugin at its port,
// and two of them are none of the other plugin.
func TestVerifySeveral(t *testing.T) {
	t.Parallel()
	const other = "192.0.2.1:7"
	twin := strings.ReplaceAll(must.Read(t, "testdata/twin.txt"), `"/m"`, `"/a"`)
	place := func(address string) string {
		host, port, _ := net.SplitHostPort(address)
		return fmt.Sprintf(`"address": {"socket_address": {"address": %q, "port_value": %s}}, `, host, port)
	}
	for _, test := range []struct {
		name, l, m string // addresses of the listeners; empty is the server's own
		want       string // which are met
	}{
		{"another spelling", "", other, "a (l)"},
		{"the other one", other, "", "a (m)"},
		{"two addresses of one port", "", "", "may meet the endpoint"},
		{"a port that is translated", other, other, "may meet the endpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, checks := inMaintenance(t)
			client, _ := answers{"/stats": func(w http.ResponseWriter) {
				fmt.Fprintf(w, "wasmcustom.healthgate_checks_total.endpoint.a.verdict.maintenance: %d\n", checks.Load())
			}}.start(t)
			own := server.Listener.Addr().String()
			e := &Envoy{client: client, key: "k", known: read(t,
				`{"name": "l", `, `{"name": "l", `+place(cmp.Or(test.l, own)), "TWIN",
				strings.Replace(twin, `{"name": "m", `, `{"name": "m", `+place(cmp.Or(test.m, own)), 1))}
			verified := map[string]bool{}
			for _, host := range []string{"127.0.0.1", "LOCALHOST", "[::ffff:127.0.0.1]"} {
				_, port, _ := net.SplitHostPort(own)
				met, lack := e.verify(t.Context(), Order{Key: "k", On: true}, "http://"+host+":"+port+"/a")
				if !strings.Contains(met+lack.what, test.want) || (met == "") == (lack.what == "") {
					t.Errorf("%s: %q: %s", host, met, lack.what)
				}
				verified[met] = met != ""
			}
			if e.settled(verified, "a") {
				t.Errorf("settled by %v", verified)
			}
			verified = map[string]bool{"a (l)": true, "a (m)": true}
			if !e.settled(verified, "a") {
				t.Error("not settled by both")
			}
		})
	}
}

// What is told is of the end of the checks, which may take long, and not of their begin.
func TestVerifyTellsOfItsEnd(t *testing.T) {
	t.Parallel()
	server, checks := inMaintenance(t)
	client, _ := answers{
		"/runtime": says(isOn), "/config_dump": says(configuration(t)),
		"/stats": func(w http.ResponseWriter) {
			fmt.Fprintf(w, "wasmcustom.healthgate_checks_total.endpoint.a.verdict.maintenance: %d\n", checks.Load())
			fmt.Fprintf(w, "wasmcustom.healthgate_maintenance.endpoint.a: %d\n", min(checks.Load(), 1))
		},
	}.start(t)
	s := Ask(t.Context(), client, "k", false).Wait(t.Context(), Order{Key: "k", Value: On, On: true}, reach.Admin,
		[]string{server.URL + "/a"})
	if s.Error != "" || len(s.Endpoints) != 1 {
		t.Errorf("%+v", s)
	}
}

// inMaintenance starts a server that answers each check as an endpoint in maintenance does, and counts them.
func inMaintenance(t *testing.T) (*httptest.Server, *atomic.Int32) {
	var checks atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		checks.Add(1)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Server", "envoy")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "Under maintenance. Remove maintenance file when complete")
	}))
	t.Cleanup(server.Close)
	return server, &checks
}

// A degraded reply is what off waits for where load balancers take it for a success.
func TestVerifyDegraded(t *testing.T) {
	t.Parallel()
	for status, want := range map[uint32]string{200: "", 429: ": the plugin's reply where the state is degraded"} {
		endpoint := &config.Endpoint{Healthy: config.Reply{Status: 200, Body: "OK"}, Degraded: config.Degraded{
			Probes: []int{0}, Reply: config.Reply{Status: status, Body: "warm-up"}}}
		response := &http.Response{StatusCode: int(status), Request: &http.Request{Method: http.MethodGet}}
		e := &Envoy{known: read(t)}
		if got := e.wrong(endpoint, verdict.Healthy, response, []byte("warm-up")); got != want {
			t.Errorf("%d: %q", status, got)
		}
	}
}

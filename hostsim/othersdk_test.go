package hostsim_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

const otherGuests = "testdata/guests"

// TestGuestsAsPublished holds the plugins of other SDKs, and of none, to the sums that make guests wrote.
func TestGuestsAsPublished(t *testing.T) {
	t.Parallel()
	sums, err := os.Open(filepath.Join(otherGuests, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	listed := 0
	for lines := bufio.NewScanner(sums); lines.Scan(); listed++ {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		wasm, err := os.ReadFile(filepath.Join(otherGuests, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(wasm); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: its SHA-256 is %x, SHA256SUMS says %s; make guests writes both anew", name, got, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(otherGuests, "*.wasm"))
	if err != nil || len(files) != listed || listed == 0 {
		t.Errorf("%d files, %d sums, %v", len(files), listed, err)
	}
}

// otherHost loads a plugin of another SDK or of none, and closes its host with the test.
func otherHost(t *testing.T, guest string, opts ...hostsim.Option) *hostsim.Host {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(otherGuests, guest+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := hostsim.New(wasm, append([]hostsim.Option{hostsim.MinLogLevel(hostsim.LogTrace)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// fixed is an upstream that answers everything with a body.
func fixed(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
}

// echoBody answers with the body it got.
var echoBody = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	b := new(strings.Builder)
	bufio.NewReader(r.Body).WriteTo(b)
	w.Write([]byte(b.String()))
})

type options []hostsim.Option

// TestOtherSDKs runs the examples of other SDKs and a plugin of none, and looks at what
// their clients, their operators and the log see.
func TestOtherSDKs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, guest string
		opts        options
		run         func(t *testing.T, h *hostsim.Host)
	}{
		{"rust headers", "rust-http_headers", nil, func(t *testing.T, h *hostsim.Host) {
			r := h.Worker(0).Get("/hello")
			wantReply(t, r, 200, "Hello, World!\n", false)
			if r.Header.Get("powered-by") != "proxy-wasm" {
				t.Errorf("%v", r.Header)
			}
			wantReply(t, h.Worker(0).Get("/other"), 200, "application", true)
			wantLog(t, h, "worker 0 [trace] #2 -> :path: /hello", "#2 completed.", "#3 -> :path: /other", "#3 <- :status: 200")
		}},
		{"rust body", "rust-http_body", options{hostsim.Application(fixed("my secret"))},
			func(t *testing.T, h *hostsim.Host) {
				wantReply(t, h.Worker(0).Get("/"), 200, "Original message body (9 bytes) redacted.", true)
			}},
		{"rust config", "rust-http_config", options{hostsim.PluginConfig("from the operator")},
			func(t *testing.T, h *hostsim.Host) {
				if got := h.Worker(0).Get("/").Header.Get("custom-header"); got != "from the operator" {
					t.Errorf("custom-header is %q", got)
				}
			}},
		{"rust callout granted", "rust-http_auth_random", options{hostsim.Upstream("httpbin", fixed("\x02"))},
			func(t *testing.T, h *hostsim.Host) {
				r := h.Worker(0).Get("/")
				wantReply(t, r, 200, "application", true)
				if r.Header.Get("powered-by") != "proxy-wasm" {
					t.Errorf("%v", r.Header)
				}
				if u := h.UpstreamRequests("httpbin"); len(u) != 1 ||
					u[0].Path() != "/bytes/1" || u[0].Authority() != "httpbin.org" {
					t.Errorf("%v", u)
				}
			}},
		{"rust callout forbidden", "rust-http_auth_random", options{hostsim.Upstream("httpbin", fixed("\x03"))},
			func(t *testing.T, h *hostsim.Host) {
				wantReply(t, h.Worker(0).Get("/"), 403, "Access forbidden.\n", false)
				wantLog(t, h, "Access forbidden.")
			}},
		{"rust panic", "rust-http_auth_random", nil, func(t *testing.T, h *hostsim.Host) {
			wantReply(t, h.Worker(0).Get("/"), 503, "", false)
			wantLog(t, h, "worker 0 [critical] panicked at 'called `Result::unwrap()` on an `Err` value: BadArgument")
		}},
		{"rust timer", "rust-hello_world", nil, func(t *testing.T, h *hostsim.Host) {
			wantLog(t, h, "Hello, World!")
			h.Advance(5 * time.Second)
			wantLog(t, h, "It's 2030-01-02 03:04:10 UTC, your lucky number is ")
		}},
		{"tinygo headers", "tinygo-http_headers", nil, func(t *testing.T, h *hostsim.Host) {
			wantReply(t, h.Worker(0).Get("/"), 200, "application", true)
			if got := h.UpstreamRequests("application")[0].Header.Get("test"); got != "best" {
				t.Errorf("the application saw test: %q", got)
			}
			wantLog(t, h, "request header --> :path: /", "response header <-- :status: 200", "2 finished")
		}},
		{"tinygo body", "tinygo-http_body", options{hostsim.Application(echoBody)}, func(t *testing.T, h *hostsim.Host) {
			for operation, want := range map[string]string{"append": "body[this is appended body]",
				"prepend": "[this is prepended body]body", "": "[this is replaced body]"} {
				r := h.Worker(0).Do(&hostsim.Request{Method: "POST", Body: []byte("body"),
					Header: hostsim.Header{{"buffer-operation", operation}}})
				wantReply(t, r, 200, want, true)
			}
			wantReply(t, h.Worker(0).Get("/"), 400, "content must be provided", false)
			wantLog(t, h, "original request body: body")
		}},
		{"tinygo body echoed", "tinygo-http_body", options{hostsim.PluginConfig("echo")},
			func(t *testing.T, h *hostsim.Host) {
				wantReply(t, h.Worker(0).Do(&hostsim.Request{Method: "POST", Body: []byte("back to you")}),
					200, "back to you", true)
			}},
		// The example grants what has an even FNV-1 hash.
		{"tinygo callout granted", "tinygo-http_auth_random", options{hostsim.Upstream("httpbin", fixed("a"))},
			func(t *testing.T, h *hostsim.Host) {
				wantReply(t, h.Worker(0).Get("/"), 200, "application", true)
				wantLog(t, h, "http call dispatched to httpbin", "response header from httpbin: :status: 200", "access granted")
			}},
		{"tinygo callout forbidden", "tinygo-http_auth_random", options{hostsim.Upstream("httpbin", fixed("b"))},
			func(t *testing.T, h *hostsim.Host) {
				wantReply(t, h.Worker(0).Get("/"), 403, "access forbidden", false)
				wantLog(t, h, "access forbidden")
			}},
		{"tinygo metrics", "tinygo-metrics", options{hostsim.Workers(2)}, func(t *testing.T, h *hostsim.Host) {
			h.Worker(0).Get("/")
			h.Worker(1).Get("/")
			if n, ok := h.Metric("proxy_wasm_go.request_counter"); n != 2 || !ok {
				t.Errorf("the counter is %d, %v", n, ok)
			}
			wantLog(t, h, "previous value of proxy_wasm_go.request_counter: 1")
		}},
		{"tinygo postponed", "tinygo-postpone_requests", nil, func(t *testing.T, h *hostsim.Host) {
			s := h.Worker(0).Start(&hostsim.Request{})
			if h.Advance(999 * time.Millisecond); s.Done() {
				t.Error("it did not wait for the tick")
			}
			h.Advance(time.Millisecond)
			wantReply(t, s.Reply(), 200, "application", true)
			wantLog(t, h, "postpone request with contextID=2", "resume request with contextID=2")
		}},
		{"tinygo shared data", "tinygo-shared_data", options{hostsim.Workers(2)}, func(t *testing.T, h *hostsim.Host) {
			h.Worker(0).Get("/")
			h.Worker(1).Get("/")
			wantLog(t, h, "worker 0 [info] shared value: 10000001", "worker 1 [info] shared value: 10000002")
		}},
		{"tinygo timer", "tinygo-helloworld", nil, func(t *testing.T, h *hostsim.Host) {
			h.Advance(time.Second)
			wantLog(t, h, "OnPluginStart from Go!", "It's 1893553446", "OnTick called")
		}},
		{"c reactor", "c-reactor", nil, wantGreeting("hello from C", "constructed 1 time")},
		{"c command", "c-command", options{hostsim.PluginConfig("from the operator"), hostsim.Env("HOME", "/here")},
			wantGreeting("from the operator", "constructed 1 time, main saw 0 arguments", "HOME is /here")},
		// Its malloc asks WASI for files, which no Envoy allows.
		{"c command that constructs again", "c-command_wrapped", nil, func(t *testing.T, h *hostsim.Host) {
			wantReply(t, h.Worker(0).Get("/"), 503, "", false)
			wantLog(t, h, "Function: malloc failed: restricted_callback: wasi_snapshot_preview1.fd_prestat_get")
		}},
	} {
		for _, profile := range []hostsim.Profile{hostsim.Envoy136, hostsim.Envoy140} {
			t.Run(c.name+"/"+profile.String(), func(t *testing.T) {
				t.Parallel()
				c.run(t, otherHost(t, c.guest, append([]hostsim.Option{profile}, c.opts...)...))
			})
		}
	}
}

// wantGreeting is what the plugin in C does.
func wantGreeting(greeting string, logged ...string) func(t *testing.T, h *hostsim.Host) {
	return func(t *testing.T, h *hostsim.Host) {
		t.Helper()
		passed, refused := h.Worker(0).Get("/hello"), h.Worker(0).Get("/refuse/this")
		wantReply(t, passed, 200, "application", true)
		wantReply(t, refused, 403, greeting, false)
		if passed.Header.Get("x-greeting") != greeting || refused.Header.Get("x-from") != "C" {
			t.Errorf("%v, %v", passed.Header, refused.Header)
		}
		if got := h.UpstreamRequests("application")[0].Header.Get("x-greeting"); got != greeting {
			t.Errorf("the application saw x-greeting: %q", got)
		}
		wantLog(t, h, append(logged, "worker 0 [error] no file: Capabilities insufficient",
			"worker 0 [info] the greeting is "+greeting, "worker 0 [info] stream 2: /hello, end of stream 1",
			"worker 0 [error] stream 2 ends at 2030-01-02T03:04:05Z, monotonic clock works")...)
	}
}

func wantReply(t *testing.T, r *hostsim.Reply, status int, body string, forwarded bool) {
	t.Helper()
	if r.Status != status || string(r.Body) != body || r.Forwarded != forwarded {
		t.Errorf("%d %q, forwarded %v; want %d %q, %v", r.Status, r.Body, r.Forwarded, status, body, forwarded)
	}
}

// wantLog wants each text in the log, whose lines are "THREAD [LEVEL] MESSAGE".
func wantLog(t *testing.T, h *hostsim.Host, texts ...string) {
	t.Helper()
	log := ""
	for _, e := range h.Logs() {
		log += fmt.Sprintf("%s [%v] %s\n", e.Thread, e.Level, e.Message)
	}
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("%q is not in the log:\n%s", text, log)
		}
	}
}

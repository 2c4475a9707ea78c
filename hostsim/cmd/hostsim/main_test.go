package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim/hostsimtest"
)

// workdir is a directory with the plugin and files.
func workdir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("script.wasm", hostsimtest.Build(t, "../../testdata/script"))
	for name, text := range files {
		write(name, []byte(text))
	}
	return dir
}

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := workdir(t, map[string]string{"text.wasm": "not wasm at all"})
	wasm := filepath.Join(dir, "script.wasm")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "Usage:"},
		{"--help", exitOK, "hostsim serve --wasm FILE"},
		{"serve --help", exitOK, "-upstream NAME=URL"},
		{"fly", exitUsage, `unknown command "fly"`},
		{"serve", exitUsage, "serve needs --wasm FILE"},
		{"serve --wasm none.wasm", exitUsage, "none.wasm"},
		{"serve --wasm " + filepath.Join(dir, "text.wasm"), exitUsage, "not a Wasm file"},
		{"serve --nonsense", exitUsage, "nonsense"},
		{"serve --upstream x --wasm " + wasm, exitUsage, "not NAME=URL"},
		{"serve --upstream x=ftp://y --wasm " + wasm, exitUsage, "not an http URL"},
		{"serve --app y --wasm " + wasm, exitUsage, "not an http URL"},
		{"serve --profile envoy-1 --wasm " + wasm, exitUsage, `no profile "envoy-1"`},
		{"serve --failure-policy x --wasm " + wasm, exitUsage, `no failure policy "x"`},
		{"serve --workers 0 --wasm " + wasm, exitUsage, "at least one worker"},
		{"serve --config none --wasm " + wasm, exitUsage, "none"},
		{"serve --listen 256.0.0.1:1 --wasm " + wasm, exitFailed, "256.0.0.1"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			code := command(context.Background(), strings.Fields(c.args), &out, &out)
			if code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit code %d, want %d; want %q in:\n%s", code, c.code, c.want, out.String())
			}
		})
	}
}

// pipe lets a test read what a server prints, as it prints it.
type pipe struct {
	mu    sync.Mutex
	text  strings.Builder
	lines chan string
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	select {
	case p.lines <- string(b):
	default:
	}
	return len(b), nil
}

// accepts reports whether a server still takes connections.
func accepts(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func TestServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/last" {
			cancel()
			for accepts(r.Host) {
				time.Sleep(time.Millisecond)
			}
		}
		w.Header().Set("X-App", "yes")
		io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(b))
	}))
	defer app.Close()
	dir := workdir(t, map[string]string{"config.txt": `
		request_headers http_call "app" ":path=/probe\n:method=GET\n:authority=a" "" "" 1000
		request_headers return 1
		http_call_response set_effective_context $stream
		http_call_response continue_stream 0
		response_headers add_header_map_value 2 "x-plugin" "yes"
		response_headers remove_header_map_value 2 "content-type"
		configure define_metric 0 "answers" >m
		response_headers increment_metric $m 1
		response_headers once
		response_headers remove_header_map_value 2 "content-length"`})
	out := &pipe{lines: make(chan string, 8)}
	done := make(chan int)
	go func() {
		done <- command(ctx, []string{"serve", "--wasm", filepath.Join(dir, "script.wasm"),
			"--config", filepath.Join(dir, "config.txt"), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
			"--app", app.URL, "--upstream", "app=" + app.URL, "--workers", "2"}, out, io.Discard)
	}()
	addr := func(what string) string {
		line := <-out.lines
		m := regexp.MustCompile(what + ` on (\S+)`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("got %q", line)
		}
		return m[1]
	}
	url, admin := addr("serving"), addr("admin")
	do := func(method, url, body string) (int, http.Header, string) {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(b)
	}
	for _, length := range []string{"", "", "12"} { // the first on each worker has none
		status, h, body := do("POST", url+"/x", "data")
		if status != 200 || h.Get("X-Plugin") != "yes" || h.Get("X-App") != "yes" || body != "POST /x data" ||
			h.Get("Content-Length") != length || h.Get("Content-Type") != "" {
			t.Errorf("%d %v %q", status, h, body)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/ready", 200, "LIVE\n"},
		{"GET", "/stats?filter=answers", 200, "wasmcustom.answers: 3\n"},
		{"GET", "/stats?filter=%5Ewasmcustom%5C.ans", 200, "wasmcustom.answers: 3\n"},
		{"GET", "/stats?filter=%28", 400, "Invalid re2 regex"},
		{"GET", "/runtime_modify?k=v", 405, "Method Not Allowed"},
		{"POST", "/runtime_modify?k=v", 200, "OK\n"},
		{"POST", "/healthcheck/fail", 200, "OK\n"},
		{"GET", "/ready", 503, "DRAINING\n"},
		{"POST", "/healthcheck/ok", 200, "OK\n"},
		{"GET", "/ready", 200, "LIVE\n"},
	} {
		if status, _, body := do(c.method, admin+c.path, ""); status != c.status || body != c.body {
			t.Errorf("%s %s: %d %q", c.method, c.path, status, body)
		}
	}
	if _, _, body := do("GET", admin+"/runtime?format=json", ""); !strings.Contains(body, `"final_value": "v"`) {
		t.Error(body)
	}
	if status, _, body := do("GET", url+"/last", ""); status != 200 || body != "GET /last " {
		t.Errorf("a request that was under way when the server ended got %d %q", status, body)
	}
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

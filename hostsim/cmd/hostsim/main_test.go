package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// plugin builds hostsim's script plugin into a directory, once.
var plugin = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hostsim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "script.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "../../testdata/script")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// workdir is a directory with the plugin and files.
func workdir(t *testing.T, files map[string]string) string {
	t.Helper()
	wasm, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("script.wasm", wasm)
	for name, text := range files {
		write(name, []byte(text))
	}
	return dir
}

const goodScenario = `
wasm: script.wasm
config: |
  request_headers get_property "source\x00address"
  request_headers send_local_response 403 "denied" "no" "x=1" -1
  configure set_tick_period_milliseconds 1000
  configure define_metric 0 "ticks" >m
  tick increment_metric $m 1
workers: 2
admin: envoy_admin
runtime: {key: value}
node: {id: n, zone: z}
steps:
- name: denied
  request: {worker: 1, path: /x, peer: "10.0.0.1:1", headers: {user-agent: test}}
  expect: {status: 403, body: "no", details: denied, forwarded: false, headers: {x: "1"}}
  log: ['"10.0.0.1:1"']
- advance: 2s
  metrics: {ticks: 6}
- crash: 0
  draining: true
  runtime: {key: ""}
  request: {worker: 0}
  expect: {status: 503, details: wasm_fail_stream}
`

func TestRun(t *testing.T) {
	t.Parallel()
	dir := workdir(t, map[string]string{
		"good.yaml": goodScenario,
		"upstreams.yaml": `
wasm: script.wasm
failure_policy: open
profile: envoy-1.40
upstreams: {application: {status: 201, body: app}}
steps:
- request: {path: /}
  expect: {status: 201, body: app, forwarded: true}
- upstreams: {application: {fault: refused}}
  request: {path: /}
  expect: {status: 503}
`,
		"crash.yaml":     "wasm: script.wasm\nconfig: 'log close_stream 0'\nsteps: [{request: {}}]\n",
		"refused.yaml":   "wasm: script.wasm\nconfig: 'configure return 0'\nload_error: Failed to configure\n",
		"bad.yaml":       strings.Replace(goodScenario, "status: 403, body: \"no\"", "status: 200, body: \"yes\"", 1),
		"not.yaml":       "wasm: script.wasm\nnonsense: 1\n",
		"nowasm.yaml":    "steps: []\n",
		"missing.yaml":   "wasm: none.wasm\n",
		"noworker.yaml":  "wasm: script.wasm\nsteps: [{request: {worker: 7}}]\n",
		"noup.yaml":      "wasm: script.wasm\nsteps: [{upstreams: {a: {status: 1}}}]\n",
		"refuse2.yaml":   "wasm: script.wasm\nconfig: 'configure return 0'\n",
		"accepted.yaml":  "wasm: script.wasm\nload_error: x\n",
		"metric.yaml":    "wasm: script.wasm\nsteps: [{metrics: {none: 1}, log: [never]}]\n",
		"bothconf.yaml":  "wasm: script.wasm\nconfig: a\nconfig_file: good.yaml\n",
		"conffile.yaml":  "wasm: script.wasm\nconfig_file: conf.txt\nsteps: [{request: {}, expect: {status: 418}}]\n",
		"conf.txt":       `request_headers send_local_response 418 "" "tea" "" -1`,
		"expect.yaml":    "wasm: script.wasm\nsteps: [{expect: {status: 1}}]\n",
		"badpolicy.yaml": "wasm: script.wasm\nfailure_policy: never\n",
	})
	for _, c := range []struct {
		files string
		code  int
		want  string
	}{
		{"good.yaml upstreams.yaml refused.yaml conffile.yaml", exitOK, "good.yaml: ok, 3 steps"},
		{"bad.yaml", exitFailed, `step 1 (denied): status is 403, want 200`},
		{"bad.yaml", exitFailed, `step 1 (denied): body is "no", want "yes"`},
		{"accepted.yaml", exitFailed, "should have been refused"},
		{"metric.yaml", exitFailed, "metric none is 0, want 1"},
		{"metric.yaml", exitFailed, `nothing logged with "never" in it`},
		{"crash.yaml", exitFailed, "step 1: an Envoy would have crashed: proxy_close_stream in proxy_on_log"},
		{"not.yaml", exitUsage, "field nonsense not found"},
		{"nowasm.yaml", exitUsage, "wasm is missing"},
		{"missing.yaml", exitUsage, "none.wasm"},
		{"noworker.yaml", exitUsage, "step 1: no worker 7"},
		{"noup.yaml", exitUsage, `upstream "a" is not among`},
		{"refuse2.yaml", exitUsage, "Failed to configure base Wasm plugin"},
		{"bothconf.yaml", exitUsage, "both config and config_file"},
		{"expect.yaml", exitUsage, "expect without a request"},
		{"badpolicy.yaml", exitUsage, `no failure policy "never"`},
		{"none.yaml", exitUsage, "none.yaml"},
	} {
		args := []string{"run"}
		for _, f := range strings.Fields(c.files) {
			args = append(args, filepath.Join(dir, f))
		}
		var out bytes.Buffer
		if code := command(context.Background(), args, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit code %d, want %d; want %q in:\n%s", c.files, code, c.code, c.want, out.String())
		}
	}
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
		{"run", exitUsage, "needs the name of a scenario"},
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
		var out bytes.Buffer
		if code := command(context.Background(), strings.Fields(c.args), &out, &out); code != c.code ||
			!strings.Contains(out.String(), c.want) {
			t.Errorf("%q: exit code %d, want %d; want %q in:\n%s", c.args, code, c.code, c.want, out.String())
		}
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

func TestServe(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
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
		configure define_metric 0 "answers" >m
		response_headers increment_metric $m 1`})
	ctx, cancel := context.WithCancel(context.Background())
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
	for range 3 {
		status, h, body := do("POST", url+"/x", "data")
		if status != 200 || h.Get("X-Plugin") != "yes" || h.Get("X-App") != "yes" || body != "POST /x data" {
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
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

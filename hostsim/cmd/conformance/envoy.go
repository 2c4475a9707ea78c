package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// How long to wait for Envoy, and for an answer through it.
const (
	startTimeout = 60 * time.Second
	replyTimeout = 20 * time.Second
	maxTries     = 5
)

// envoy is a real one, started anew for every case, and the upstreams it talks to.
type envoy struct {
	path, dir, wasm string
	ports           map[string]int
	servers         []*http.Server
}

func newEnvoy(path, dir, wasm string) (*envoy, error) {
	e := &envoy{path: path, dir: dir, wasm: wasm, ports: map[string]int{down: 0}}
	quit := func(http.ResponseWriter, *http.Request) {}
	for name, h := range map[string]http.Handler{
		"application": echo, "backend": echo, closed: http.HandlerFunc(quit),
		silent: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		abort: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
			// Headers and reset must not come in one read, or Envoy may see but one.
			time.Sleep(50 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}),
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		e.ports[name] = l.Addr().(*net.TCPAddr).Port
		if name == closed {
			l.Close()
			continue
		}
		s := &http.Server{Handler: h}
		e.servers = append(e.servers, s)
		go s.Serve(l)
	}
	return e, nil
}

func (e *envoy) close() {
	for _, s := range e.servers {
		s.Close()
	}
}

// play starts an Envoy with the case's configuration and sends its request. The port
// may be taken by the time Envoy is there to listen; then another is tried.
func (e *envoy) play(c testCase) (outcome, error) {
	for try := 1; ; try++ {
		o, err := e.playOnce(c)
		if err == nil || try == maxTries || !strings.Contains(err.Error(), "Address already in use") {
			return o, err
		}
	}
}

func (e *envoy) playOnce(c testCase) (outcome, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return outcome{}, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	bootstrap := filepath.Join(e.dir, "envoy.yaml")
	if err := os.WriteFile(bootstrap, []byte(e.bootstrap(port, c)), 0o600); err != nil {
		return outcome{}, err
	}
	cmd := exec.Command(e.path, "-c", bootstrap, "--disable-hot-restart", "--concurrency", "1", "-l", "info",
		"--log-format", "%t|%n|%v")
	log := &lines{ready: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	go log.read(r)
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		w.Close()
		close(exited)
	}()
	defer func() {
		cmd.Process.Kill()
		<-exited
	}()
	select {
	case <-log.ready:
	case <-exited:
		return outcome{}, errors.New("envoy gave up:\n" + log.tail())
	case <-time.After(startTimeout):
		return outcome{}, errors.New("envoy did not start:\n" + log.tail())
	}
	reply, err := e.send(fmt.Sprintf("127.0.0.1:%d", port), c.Request)
	if err != nil {
		return outcome{}, err
	}
	time.Sleep(settle)
	return outcome{reply, normalize(log.plugin(cmd.Process.Pid))}, nil
}

// send is a client that hides nothing. It tries again while nobody listens: Envoy
// listens once the workers have their VMs.
func (e *envoy) send(addr string, r request) (string, error) {
	var conn net.Conn
	var err error
	for range 100 {
		if conn, err = net.Dial("tcp", addr); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(replyTimeout))
	method := or(r.Method, "GET")
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, or(r.Path, "/"), or(r.Host, "localhost"))
	for _, f := range r.Headers {
		fmt.Fprintf(conn, "%s: %s\r\n", f[0], f[1])
	}
	if r.Body != "" {
		fmt.Fprintf(conn, "content-length: %d\r\n", len(r.Body))
	}
	fmt.Fprintf(conn, "\r\n%s", r.Body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return render(0, nil, nil, true), nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var fields []string
	for name, vs := range resp.Header {
		for _, v := range vs {
			fields = append(fields, strings.ToLower(name)+"="+v)
		}
	}
	for _, v := range resp.TransferEncoding {
		fields = append(fields, "transfer-encoding="+v)
	}
	return render(resp.StatusCode, fields, body, err != nil), nil
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// lines is Envoy's output so far.
type lines struct {
	mu    sync.Mutex
	all   []string
	ready chan struct{}
}

const maxLine = 1 << 24

func (l *lines) read(r io.Reader) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	started := false
	for sc.Scan() {
		l.mu.Lock()
		l.all = append(l.all, sc.Text())
		l.mu.Unlock()
		if !started && strings.Contains(sc.Text(), "starting main dispatch loop") {
			started = true
			close(l.ready)
		}
	}
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all[max(0, len(l.all)-20):], "\n")
}

// plugin is what the plugin said on the worker. The main thread's number is that of
// the process; the root context has no name in its prefix.
func (l *lines) plugin(pid int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var said []string
	for _, line := range l.all {
		p := strings.SplitN(line, "|", 3)
		if len(p) != 3 || p[0] == fmt.Sprint(pid) {
			continue
		}
		for _, prefix := range []string{"wasm log " + pluginName + ": ", "wasm log: "} {
			if _, message, ok := strings.Cut(p[2], prefix); ok {
				said = append(said, message)
				break
			}
		}
	}
	return said
}

package hostsimtest

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// RunOnEnvoy runs a test of what clients see on hostsim, and, if $ENVOY names an Envoy's binary, on that as well: as
// subtests "hostsim" and "envoy".
//
// do sends a request and returns the answer. From Envoy, its header is sorted by name, and Upstream and Properties are
// not known. What a client can't say about its request, such as Peer or RouteMetadata, ends the test on Envoy. Handlers
// of upstreams may be called at the same time there, and speak HTTP/1.1.
func RunOnEnvoy(t *testing.T, code []byte, test func(t *testing.T, do func(*hostsim.Request) *hostsim.Reply),
	opts ...hostsim.Option) {
	t.Run("hostsim", func(t *testing.T) {
		test(t, New(t, code, opts...).Worker(0).Do)
	})
	if binary := os.Getenv("ENVOY"); binary != "" {
		t.Run("envoy", func(t *testing.T) { test(t, startEnvoy(t, binary, code, opts).do) })
	}
}

// limit is how long anything may take of which Envoy should be done at once.
const limit = time.Minute

// envoy is a running one.
type envoy struct {
	t         testing.TB
	address   string
	accessLog string
	client    http.Client
	requests  int
	forwarded atomic.Int64
	ended     chan struct{}
}

func startEnvoy(t testing.TB, binary string, code []byte, opts []hostsim.Option) *envoy {
	dir := t.TempDir()
	config, log := filepath.Join(dir, "envoy.json"), filepath.Join(dir, "log")
	e := &envoy{t: t, address: freeAddress(t), accessLog: filepath.Join(dir, "access"), ended: make(chan struct{}),
		client: http.Client{
			Transport:     &http.Transport{DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
	admin := freeAddress(t)
	serve := func(name string, h http.Handler) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "application" {
				e.forwarded.Add(1)
			}
			h.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	bootstrap, err := hostsim.Bootstrap(code, dir, e.address, admin, serve, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{config: bootstrap, log: nil, e.accessLog: nil} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-path", log,
		"--file-flush-interval-msec", "50")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // what ended it is in its log
		close(e.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-e.ended
		if said, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("the end of Envoy's log:\n%s", said[max(0, len(said)-8<<10):])
		}
	})
	e.wait("Envoy to be ready", func() bool {
		r, err := e.client.Get("http://" + admin + "/ready")
		if err == nil {
			_ = r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	})
	return e
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (e *envoy) wait(what string, done func() bool) {
	e.t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-e.ended:
			e.t.Fatalf("waiting for %s: Envoy has ended", what)
		default:
		}
		if time.Now().After(end) {
			e.t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func (e *envoy) do(req *hostsim.Request) *hostsim.Reply {
	e.t.Helper()
	if req.Peer != "" || req.Local != "" || req.RouteName != "" || req.Before != 0 || len(req.FilterState)+
		len(req.RouteMetadata)+len(req.Metadata)+len(req.Properties)+len(req.Trailer) > 0 {
		e.t.Fatal("no client of Envoy can send this request, see RunOnEnvoy")
	}
	body := append(slices.Clone(req.Body), bytes.Join(req.Chunks, nil)...)
	hr, err := http.NewRequest(cmp.Or(req.Method, "GET"), "http://"+e.address+cmp.Or(req.Path, "/"), bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	hr.Host = cmp.Or(req.Authority, "localhost")
	hr.Header["User-Agent"] = nil // Go's own
	for _, f := range req.Header {
		hr.Header.Add(f[0], f[1])
	}
	before := e.forwarded.Load()
	reply := &hostsim.Reply{}
	if r, err := e.client.Do(hr); err != nil {
		reply.Reset = true
	} else {
		defer r.Body.Close()
		reply.Status, reply.Code = r.StatusCode, r.StatusCode
		reply.Body, err = io.ReadAll(r.Body)
		reply.Reset = err != nil
		reply.Header, reply.Trailer = header(r.Header), header(r.Trailer)
	}
	reply.Forwarded = e.forwarded.Load() > before
	reply.Details, reply.Flags = e.logged()
	return reply
}

// logged waits for the access log's next line.
func (e *envoy) logged() (details, flags string) {
	var lines []string
	e.wait("the access log", func() bool {
		text, err := os.ReadFile(e.accessLog)
		lines = strings.Split(string(text), "\n")
		return err == nil && len(lines) > e.requests+1
	})
	details, flags, _ = strings.Cut(lines[e.requests], " ")
	e.requests++
	return details, flags
}

func header(h http.Header) hostsim.Header {
	var out hostsim.Header
	for name, values := range h {
		for _, v := range values {
			out = append(out, [2]string{strings.ToLower(name), v})
		}
	}
	slices.SortStableFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

package hostsimtest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// RunOnEnvoy runs a test of what clients and the application see on hostsim, and, if $ENVOY names an Envoy's binary, on
// that as well: as subtests "hostsim" and "envoy".
//
// do sends a request and returns the answer. From Envoy, its header is sorted by name, as that of Upstream is, and
// Properties are not known. Peer and Local are addresses with ports there, which Envoy learns by the PROXY
// protocol. What a client can't say about its request, such as RouteMetadata, ends the test on Envoy: the option Routes
// gives names and metadata to routes on both. So do options that hostsim.Bootstrap can't write down. Handlers of
// upstreams may be called at the same time there, and speak HTTP/1.1, but for those of UpstreamGRPC.
//
// hostsim is Envoy 1.40 unless the options have a Profile; $ENVOY should be of that release.
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
	requests  int
	ended     chan struct{}

	mu        sync.Mutex
	forwarded map[string][]*hostsim.UpstreamRequest // by cluster
}

func startEnvoy(t testing.TB, binary string, code []byte, opts []hostsim.Option) *envoy {
	dir := t.TempDir()
	config, log := filepath.Join(dir, "envoy.json"), filepath.Join(dir, "log")
	e := &envoy{t: t, address: freeAddress(t), accessLog: filepath.Join(dir, "access"), ended: make(chan struct{}),
		forwarded: make(map[string][]*hostsim.UpstreamRequest)}
	admin := freeAddress(t)
	serve := func(name string, h http.Handler) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.forward(name, r)
			h.ServeHTTP(w, r)
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
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
		"--log-level", "warning", "--component-log-level", "wasm:info", "--file-flush-interval-msec", "50")
	if err := cmd.Start(); err != nil {
		t.Fatalf("$ENVOY must name the binary of an Envoy: %v", err)
	}
	go func() {
		_ = cmd.Wait() // what ended it is in its log
		close(e.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-e.ended:
			t.Error("Envoy has ended")
		default:
			_ = cmd.Process.Kill() // it may end meanwhile
			<-e.ended
		}
		if said, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("the end of Envoy's log:\n%s", said[max(0, len(said)-8<<10):])
		}
	})
	e.wait("Envoy to be ready", func() bool {
		r, err := http.Get("http://" + admin + "/ready")
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
	conn, err := net.Dial("tcp", e.address)
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	text, err := e.onTheWire(req)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(limit))
	}
	if err != nil {
		e.t.Fatal(err)
	}
	before := e.gone()
	reply := &hostsim.Reply{}
	_, _ = io.WriteString(conn, text) // Envoy may answer, and close, before it has read all
	if r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: cmp.Or(req.Method, "GET")}); err != nil {
		reply.Reset = true
	} else {
		reply.Status, reply.Code = r.StatusCode, r.StatusCode
		reply.Body, err = io.ReadAll(r.Body)
		reply.Reset = err != nil
		reply.Header, reply.Trailer = header(r.Header), header(r.Trailer)
	}
	var cluster string
	reply.Details, reply.Flags, cluster = e.logged()
	if gone := e.gone()[cluster]; len(gone) > len(before[cluster]) {
		reply.Forwarded, reply.Upstream = true, gone[len(gone)-1]
	}
	return reply
}

// forward keeps a request that the upstream of a cluster gets.
func (e *envoy) forward(cluster string, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what came of it until the connection broke
	r.Body = io.NopCloser(bytes.NewReader(body))
	u := &hostsim.UpstreamRequest{Time: time.Now(), Body: body, Trailer: header(r.Trailer), Header: append(hostsim.Header{
		{":authority", r.Host}, {":path", r.RequestURI}, {":method", r.Method}, {":scheme", "http"}}, header(r.Header)...)}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forwarded[cluster] = append(e.forwarded[cluster], u)
}

// gone are the requests that the upstreams got, by cluster.
func (e *envoy) gone() map[string][]*hostsim.UpstreamRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.forwarded)
}

// onTheWire is a request of HTTP/1.1, behind the PROXY protocol's line if it says where it comes from.
func (e *envoy) onTheWire(req *hostsim.Request) (string, error) {
	var b strings.Builder
	for _, f := range []struct {
		given        bool
		name, remedy string
	}{
		{req.RouteName != "", "RouteName", ": the option Routes gives one"},
		{len(req.RouteMetadata) > 0, "RouteMetadata", ": the option Routes gives it"},
		{len(req.Metadata) > 0, "Metadata", ""}, {len(req.FilterState) > 0, "FilterState", ""},
		{len(req.Properties) > 0, "Properties", ""}, {req.Before != 0, "Before", ""}, {req.Listener != 0, "Listener", ""},
	} {
		if f.given {
			return "", fmt.Errorf("Request.%s can't be carried to a real Envoy%s", f.name, f.remedy)
		}
	}
	if req.Peer != "" || req.Local != "" {
		from, err := netip.ParseAddrPort(cmp.Or(req.Peer, "127.0.0.1:40000"))
		family, local := "TCP4", "127.0.0.1:10000"
		if from.Addr().Is6() {
			family, local = "TCP6", "[::1]:10000"
		}
		to, err2 := netip.ParseAddrPort(cmp.Or(req.Local, local))
		if err := errors.Join(err, err2); err != nil {
			return "", fmt.Errorf("on a real Envoy, Request.Peer and Local are addresses with ports: %w", err)
		}
		fmt.Fprintf(&b, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port())
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n", cmp.Or(req.Method, "GET"), cmp.Or(req.Path, "/"),
		cmp.Or(req.Authority, "localhost"))
	fields := func(all hostsim.Header) {
		for _, f := range all {
			fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
		}
		b.WriteString("\r\n")
	}
	body := append(slices.Clone(req.Body), bytes.Join(req.Chunks, nil)...)
	chunks := req.Chunks
	if len(req.Body) > 0 {
		chunks = slices.Collect(slices.Chunk(req.Body, cmp.Or(req.ChunkSize, len(req.Body))))
	}
	switch {
	case len(req.Trailer) > 0 || len(chunks) > 1:
		fields(append(slices.Clone(req.Header), [2]string{"transfer-encoding", "chunked"}))
		for _, chunk := range chunks {
			if len(chunk) > 0 {
				fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
			}
		}
		b.WriteString("0\r\n")
		fields(req.Trailer)
	case len(body) > 0 && !req.Header.Has("content-length"):
		fields(append(slices.Clone(req.Header), [2]string{"content-length", strconv.Itoa(len(body))}))
		b.Write(body)
	default:
		fields(req.Header)
		b.Write(body)
	}
	return b.String(), nil
}

// logged waits for the access log's next line.
func (e *envoy) logged() (details, flags, cluster string) {
	var lines []string
	e.wait("the access log", func() bool {
		text, err := os.ReadFile(e.accessLog)
		lines = strings.Split(string(text), "\n")
		return err == nil && len(lines) > e.requests+1
	})
	details, rest, _ := strings.Cut(lines[e.requests], " ")
	flags, cluster, _ = strings.Cut(rest, " ")
	e.requests++
	return details, flags, cluster
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

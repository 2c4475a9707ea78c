package lb

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// backend answers checks with a status, and keeps what came, byte for byte.
type backend struct {
	address string
	mu      sync.Mutex
	status  int
	seen    []string
}

func startBackend(t *testing.T, status int) *backend {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = listener.Close() })
	b := &backend{address: listener.Addr().String(), status: status}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

func (b *backend) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for in := bufio.NewReader(conn); ; {
		request := ""
		for !strings.HasSuffix(request, "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			request += line
		}
		b.mu.Lock()
		b.seen = append(b.seen, request)
		status := b.status
		b.mu.Unlock()
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\ncontent-length: 0\r\n\r\n", status,
			http.StatusText(status)); err != nil {
			return
		}
	}
}

// set answers otherwise from now on, and forgets what came.
func (b *backend) set(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.seen = status, nil
}

func (b *backend) checks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

// last waits for a check, and returns it.
func (b *backend) last(t *testing.T) string {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, "a check", func() error {
		if b.checks() == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

// sentAs returns what the command sends as a load balancer to a path.
func sentAs(t *testing.T, as, path string, flags ...string) (string, *backend) {
	t.Helper()
	b := startBackend(t, http.StatusOK)
	check(t, 0, append([]string{"http://" + b.address + path, "--as", as}, flags...)...)
	return b.last(t), b
}

// judges compares what a load balancer makes of each status with what the command says it does.
func judges(t *testing.T, healthy map[int]bool, as string) {
	t.Helper()
	for status, is := range healthy {
		want := 1
		if is {
			want = 0
		}
		check(t, want, "http://"+startBackend(t, status).address+"/", "--as", as)
	}
}

// TestHAProxySendsTheSame: what HAProxy sends and how it judges is what the command says.
func TestHAProxySendsTheSame(t *testing.T) {
	t.Parallel()
	one, two := startBackend(t, http.StatusOK), startBackend(t, http.StatusOK)
	startHAProxy(t, &node{address: one.address}, &node{address: two.address})
	if got, _ := sentAs(t, "haproxy", "/my-service/healthcheck"); got != one.last(t) {
		t.Errorf("the command sends %q, HAProxy %q", got, one.last(t))
	}

	// Without http-check send, and with the defaults for fall, rise and the statuses.
	backends := map[int]*backend{}
	config := fmt.Sprintf("global\n  stats socket unix@${STATS_SOCKET}\ndefaults\n  mode http\n  timeout connect 20s\n"+
		"  timeout client 20s\n  timeout server 20s\n  timeout check 20s\nfrontend users\n  bind %s\n"+
		"  default_backend app\nbackend app\n  option httpchk\n", envoytest.Loopback(must.Port(t)))
	statuses := []int{200, 204, 302, 399, 404, 503}
	for _, status := range statuses {
		backends[status] = startBackend(t, status)
		config += fmt.Sprintf("  server s%d %s check inter 200ms\n", status, backends[status].address)
	}
	h := startHAProxyWith(t, config)
	judged := map[int]bool{}
	envoytest.Eventually(t, envoytest.Limit, "HAProxy judges", func() error {
		for _, status := range statuses {
			if n := backends[status].checks(); n < 4 {
				return fmt.Errorf("%d checks of %d", n, status)
			}
		}
		servers, err := h.servers()
		for _, status := range statuses {
			judged[status] = strings.HasPrefix(servers[fmt.Sprintf("s%d", status)].status, "UP")
		}
		return err
	})
	if got, _ := sentAs(t, "haproxy-options", "/"); got != backends[200].last(t) {
		t.Errorf("the command sends %q, HAProxy %q", got, backends[200].last(t))
	}
	judges(t, judged, "haproxy-options")

	// And so long it takes until the instance is out, and back.
	good := backends[http.StatusOK]
	said := check(t, 0, "http://"+good.address+"/", "--as", "haproxy-options")
	for _, turn := range []struct {
		status, checks int
		becomes        string
	}{{503, said.Leaves.Checks, "DOWN"}, {200, said.Returns.Checks, "UP"}} {
		good.set(turn.status)
		envoytest.Eventually(t, envoytest.Limit, "HAProxy says "+turn.becomes, func() error {
			servers, err := h.servers()
			if got := servers["s200"].status; err == nil && got != turn.becomes {
				err = fmt.Errorf("it says %s", got)
			}
			return err
		})
		if n := good.checks(); n < turn.checks {
			t.Errorf("HAProxy says %s after %d answers of %d, the command says %d", turn.becomes, n, turn.status, turn.checks)
		}
	}
}

// TestEnvoySendsTheSame: so does an Envoy that checks a cluster, which takes a host out after one answer.
func TestEnvoySendsTheSame(t *testing.T) {
	t.Parallel()
	backends := map[int]*backend{}
	var hosts string
	for _, status := range []int{200, 204, 302, 503} {
		backends[status] = startBackend(t, status)
		host, port, _ := net.SplitHostPort(backends[status].address)
		hosts += fmt.Sprintf("\n        - endpoint: {address: {socket_address: {address: %s, port_value: %s}}}", host, port)
	}
	adminPort := must.Port(t)
	front := envoytest.Start(t, envoytest.FromYAML(t, fmt.Sprintf(`
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources:
  clusters:
  - name: app
    connect_timeout: 20s
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:%s
    health_checks:
    - {timeout: 20s, interval: 0.2s, no_traffic_interval: 0.2s, unhealthy_threshold: 50, healthy_threshold: 2,
       http_health_check: {path: /healthz}}
`, adminPort, hosts), adminPort), 1)
	if got, _ := sentAs(t, "envoy", "/healthz"); got != backends[200].last(t) {
		t.Errorf("the command sends %q, Envoy %q", got, backends[200].last(t))
	}
	judged := map[int]bool{}
	envoytest.Eventually(t, envoytest.Limit, "Envoy judges", func() error {
		for status, b := range backends {
			if n := b.checks(); n < 3 {
				return fmt.Errorf("%d checks of %d", n, status)
			}
		}
		flags := front.Get("/clusters")
		for status, b := range backends {
			judged[status] = strings.Contains(flags, "app::"+b.address+"::health_flags::healthy\n")
		}
		return nil
	})
	judges(t, judged, "envoy")

	good := backends[200]
	good.set(http.StatusServiceUnavailable)
	envoytest.Eventually(t, envoytest.Limit, "Envoy takes it out", func() error {
		if !strings.Contains(front.Get("/clusters"), "app::"+good.address+"::health_flags::/failed_active_hc") {
			return fmt.Errorf("after %d checks it is in", good.checks())
		}
		return nil
	})
	if n := good.checks(); n >= 50 {
		t.Errorf("Envoy took a host out after %d answers of 503, which the table says needs one", n)
	}
}

// TestKubeletSendsTheSame: the kubelet's request is that of Go's client with the settings of Kubernetes' prober.
func TestKubeletSendsTheSame(t *testing.T) {
	t.Parallel()
	got, b := sentAs(t, "kubelet", "/healthz?verbose")
	b.set(http.StatusOK)
	request := must.Get(http.NewRequest(http.MethodGet, "http://"+b.address+"/healthz?verbose", nil))(t)
	request.Header.Set("User-Agent", "kube-probe/1.36")
	request.Header.Set("Accept", "*/*")
	client := http.Client{Timeout: envoytest.Limit, Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, Proxy: http.ProxyURL(nil),
	}}
	response := must.Get(client.Do(request))(t)
	_ = response.Body.Close()
	if want := b.last(t); got != want {
		t.Errorf("the command sends %q, the kubelet %q", got, want)
	}
	judges(t, map[int]bool{200: true, 204: true, 399: true, 400: false, 503: false}, "kubelet")
}

// startHAProxyWith starts a HAProxy with a configuration.
func startHAProxyWith(t *testing.T, config string) *haproxy {
	t.Helper()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	must.Write(t, file, config)
	h := newHAProxy(t)
	cmd := binary(t, "-db", "-f", file)
	cmd.Env = append(os.Environ(), "STATS_SOCKET="+h.socket)
	_, h.log = envoytest.Program(t, cmd)
	return h
}

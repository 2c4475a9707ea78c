package e2e

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// sources is an Envoy whose listeners trust each in its own way.
type sources struct {
	config *envoytest.Config
	envoy  *envoytest.Envoy
}

// TestSources has each part add its listeners and then, when the Envoy of all has started, ask them.
func TestSources(t *testing.T) {
	t.Parallel()
	s := &sources{config: envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)}
	forwarded, withoutAddress, proxyProtocol := s.forwarded(t), s.withoutAddress(t), s.proxyProtocol()
	s.envoy = envoytest.Start(t, s.config, 2)
	t.Run("forwarded", forwarded)
	t.Run("without an address", withoutAddress)
	t.Run("PROXY protocol", proxyProtocol)
}

// add adds a listener with one endpoint, which needs no state.
func (s *sources) add(name, trusted string, hcm object) *envoytest.Listener {
	l := s.config.AddListener(name)
	l.SetSettings(envoytest.Parse(fmt.Sprintf(`{"endpoints": [{"name": %q, "paths": [%q], "trusted": %s,
		"healthy": {"body": "OK", "content_type": "text/plain"}}]}`,
		strings.NewReplacer(" ", "-", ",", "").Replace(name), empty, trusted)))
	maps.Copy(l.HCM(), hcm)
	return l
}

// is fails the test unless a check through the connection is answered by the filter, or goes on to the application.
func (s *sources) is(t *testing.T, conn net.Conn, answered bool, preface string, headers ...string) {
	t.Helper()
	defer func() { _ = conn.Close() }()
	// A connection through an internal listener that is to be closed is reset, with the answer still under way.
	request := strings.Replace(requestText("GET", empty, "", headers...), "Connection: close\r\n", "", 1)
	a, err := exchange(conn, "GET", preface+request)
	if err != nil {
		t.Errorf("%q %q: %v", preface, headers, err)
	} else if want := map[bool]string{true: "OK", false: "app " + empty}[answered]; a.Body != want {
		t.Errorf("%q %q: %d %q, want %q", preface, headers, a.Status, a.Body, want)
	}
}

func dial(t *testing.T, source string, l *envoytest.Listener) net.Conn {
	t.Helper()
	return must.Get(from(source, l.Address()).dial())(t)
}

// forwarded is testdata/forwarded.yaml, which says what its fields mean.
type forwarded struct {
	Ways []struct {
		Name             string
		HCM, Extension   object
		Answered, Passes []string
	}
	NoAddress []string `yaml:"no_address"`
}

// forwarded has a proxy, 127.0.0.2, that is trusted for its own checks, and strangers behind it.
func (s *sources) forwarded(t *testing.T) func(*testing.T) {
	var f forwarded
	testdata(t, "forwarded.yaml", &f)
	for _, w := range f.Ways {
		hcm := w.HCM
		if w.Extension != nil {
			hcm = object{"original_ip_detection_extensions": []any{object{"name": "xff",
				"typed_config": envoytest.Any("envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", w.Extension)}}}
		}
		s.add(w.Name, `{"cidrs": ["127.0.0.2/32", "10.9.9.0/24", "fd00::/8"], "peer": "forwarded"}`, hcm)
	}
	return func(t *testing.T) {
		for _, w := range f.Ways {
			t.Run(w.Name, func(t *testing.T) {
				l := s.config.Listener(w.Name)
				is := func(answered bool, headers ...string) {
					t.Helper()
					s.is(t, dial(t, untrusted, l), answered, "", headers...)
				}
				is(true)
				is(true, crowdOfHeaders()...)
				for _, value := range w.Answered {
					is(true, "X-Forwarded-For: "+value)
				}
				for _, value := range append(w.Passes, f.NoAddress...) {
					is(false, "X-Forwarded-For: "+value)
				}
				is(false, append(crowdOfHeaders(), "X-Forwarded-For: unknown")...)
				is(false, "X-Forwarded-For: unknown", "X-Forwarded-For: _hidden")
			})
		}
	}
}

// withoutAddress asks through Unix sockets and an internal listener, where no peer has an address.
func (s *sources) withoutAddress(t *testing.T) func(*testing.T) {
	var f forwarded
	testdata(t, "forwarded.yaml", &f)
	folder := must.Get(os.MkdirTemp("", "healthgate"))(t) // t.TempDir's names are too long for a socket
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := func(name string) string { return filepath.Join(folder, name) }
	abstract := fmt.Sprintf("@healthgate-%d", os.Getpid())
	const (
		pipe      = `{"pipe": true}`
		forwarded = `{"pipe": true, "cidrs": ["10.9.9.0/24"], "peer": "forwarded"}`
		state     = `{"pipe": true, "peer": {"filter_state": "hc.peer"}}`
		everyone  = `{"cidrs": ["0.0.0.0/0", "::/0"]}`
	)
	for _, l := range []struct{ name, trusted, path string }{
		{"socket", pipe, socket("socket")},
		{"abstract", pipe, abstract},
		{"remote", pipe, socket("remote")},
		{"forwarded", forwarded, socket("forwarded")},
		{"state", state, socket("state")},
		{"everyone", everyone, socket("everyone")},
		{"network", pipe, ""},
		{"network state", state, ""},
		{"internal", pipe, "internal"},
		{"internal everyone", everyone, "internal"},
	} {
		added := s.add(l.name, l.trusted, nil)
		if l.name == "remote" {
			added.HCM()["use_remote_address"] = true
		}
		if l.trusted == state {
			storePeer(added)
		}
		switch l.path {
		case "":
		case "internal":
			through(s.config, added)
		default:
			added.Object["address"] = object{"pipe": object{"path": l.path}}
		}
	}
	return func(t *testing.T) {
		ask := func(path string, answered bool, headers ...string) {
			t.Helper()
			conn := must.Get(net.Dial("unix", path))(t)
			s.is(t, conn, answered, "", headers...)
		}
		for _, path := range []string{socket("socket"), socket("remote"), socket("state"), abstract} {
			ask(path, true)
		}
		ask(socket("socket"), false, "X-Forwarded-For: 10.9.9.9")
		ask(socket("forwarded"), true)
		ask(socket("forwarded"), true, "X-Forwarded-For: 10.9.9.9")
		for _, value := range append(f.NoAddress, "", "192.0.2.7") {
			ask(socket("forwarded"), false, "X-Forwarded-For: "+value)
		}
		// A client's own name is not its address, even if it looks like one.
		bound := &net.UnixAddr{Name: "@127.0.0.1:443", Net: "unix"}
		for range 4 { // on each worker, most likely
			ask(socket("everyone"), false)
		}
		conn := must.Get(net.DialUnix("unix", bound, &net.UnixAddr{Name: socket("everyone"), Net: "unix"}))(t)
		s.is(t, conn, false, "")
		// Nobody else passes for one who can open a Unix socket.
		for _, header := range []string{"X: y", "X-Forwarded-For: " + socket("socket"), "X-Forwarded-For: 10.9.9.9"} {
			for _, name := range []string{"network", "network state", "internal", "internal everyone"} {
				if strings.HasPrefix(name, "internal") && strings.HasSuffix(header, "10.9.9.9") {
					continue // that is an address
				}
				l := s.config.Listener(name)
				if entry := name + " entry"; strings.HasPrefix(name, "internal") {
					l = s.config.Listener(entry)
				}
				s.is(t, dial(t, trusted, l), false, "", header)
			}
		}
		for name, told := range map[string]string{
			"everyone": "a Unix socket, where", "internal": "an internal listener, where",
			"internal-everyone": "an internal listener, where",
		} {
			line := fmt.Sprintf("endpoint %q: not trusted: the request came through %s", name, told)
			envoytest.Eventually(t, envoytest.Limit, line, func() error { return s.envoy.Log.Has(line) })
		}
		if lines := s.envoy.Log.Lines("not trusted: the request came through"); len(lines) > 6 {
			t.Errorf("told %d times:\n%s", len(lines), strings.Join(lines, "\n"))
		}
	}
}

// through makes a listener internal, and adds one of TCP whose connections go there.
func through(config *envoytest.Config, l *envoytest.Listener) {
	name := l.Object["name"].(string)
	entry := config.AddListener(name + " entry")
	entry.Object["filter_chains"] = []any{object{"filters": []any{object{"name": "tcp_proxy",
		"typed_config": envoytest.Any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", object{
			"stat_prefix": name, "cluster": name})}}}}
	delete(l.Object, "address")
	l.Object["internal_listener"] = object{}
	config.AddCluster(name, 1)
	clusters := envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters")
	cluster := clusters[len(clusters)-1].(object)
	envoytest.At[object](cluster, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint")["address"] =
		object{"envoy_internal_address": object{"server_listener_name": name}}
	cluster["transport_socket"] = object{"name": "internal_upstream", "typed_config": envoytest.Any(
		"envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport", object{
			"transport_socket": object{"name": "raw_buffer", "typed_config": envoytest.Any(
				"envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer", nil)},
		})}
	config.Bootstrap["bootstrap_extensions"] = []any{object{"name": "envoy.bootstrap.internal_listener",
		"typed_config": envoytest.Any("envoy.extensions.bootstrap.internal_listener.v3.InternalListener", nil)}}
}

// storePeer keeps the direct peer in a filter state, as a rendered configuration does.
func storePeer(l *envoytest.Listener) {
	filters := envoytest.At[[]any](l.Object, "filter_chains", 0, "filters")
	envoytest.At[object](l.Object, "filter_chains", 0)["filters"] = append([]any{object{
		"name": "healthgate_peer",
		"typed_config": envoytest.Any("envoy.extensions.filters.network.set_filter_state.v3.Config", object{
			"on_new_connection": []any{peerState("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")},
		}),
	}}, filters...)
}

// proxyProtocol: what a client states in the PROXY protocol is the connection's address for Envoy. The filter state
// has whom the connection is really from.
func (s *sources) proxyProtocol() func(*testing.T) {
	listenerFilter := []any{object{"name": "proxy_protocol",
		"typed_config": envoytest.Any("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", nil)}}
	cidrs := `"cidrs": ["127.0.0.1/32", "10.9.9.0/24", "fd00::/8"]`
	for name, peer := range map[string]string{
		"proxied": `"connection"`, "proxied, forwarded": `"forwarded"`, "proxied, state": `{"filter_state": "hc.peer"}`,
	} {
		l := s.add(name, fmt.Sprintf(`{%s, "peer": %s}`, cidrs, peer), nil)
		l.Object["listener_filters"] = listenerFilter
		storePeer(l)
	}
	return func(t *testing.T) {
		proxied, state := s.config.Listener("proxied"), s.config.Listener("proxied, state")
		forwarded := s.config.Listener("proxied, forwarded")
		for _, c := range []struct {
			preface               string
			connection, forwarded bool // is a check from 127.0.0.2 answered?
		}{
			{"PROXY TCP4 10.9.9.9 127.0.0.1 40000 80\r\n", true, false},
			{"PROXY TCP4 127.0.0.1 127.0.0.1 40000 80\r\n", true, false},
			{"PROXY TCP6 fd00::9 ::1 40000 80\r\n", true, false},
			{"PROXY TCP6 ::ffff:10.9.9.9 ::1 40000 80\r\n", true, false},
			{"PROXY TCP4 10.9.9.9 127.0.0.1 0 80\r\n", false, true}, // port 0, as of an address from X-Forwarded-For
			{"PROXY TCP4 192.0.2.7 127.0.0.1 40000 80\r\n", false, false},
			{"PROXY UNKNOWN\r\n", false, false},
			{proxyV2(0x21, "10.9.9.9"), true, false},
			{proxyV2(0x21, "fd00::9"), true, false},
			{proxyV2(0x20, "10.9.9.9"), false, false}, // LOCAL
		} {
			s.is(t, dial(t, untrusted, proxied), c.connection, c.preface)
			s.is(t, dial(t, untrusted, state), false, c.preface)
			// The balancer's own connection is answered whatever it states.
			s.is(t, dial(t, trusted, state), true, c.preface)
			s.is(t, dial(t, trusted, state), true, c.preface, "X-Forwarded-For: 192.0.2.7")
			s.is(t, dial(t, untrusted, forwarded), c.forwarded, c.preface, "X-Forwarded-For: 10.9.9.9:443")
		}
	}
}

// proxyV2 is the PROXY protocol's binary form, with a version and command and a source.
func proxyV2(command byte, source string) string {
	ip, family := netip.MustParseAddr(source), byte(0x11)
	if ip.Is6() {
		family = 0x21
	}
	raw := string(ip.AsSlice())
	addresses := raw + raw + "\x9c\x40\x00\x50" // ports 40000 and 80
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family, 0, byte(len(addresses))}) + addresses
}

// TestIPv6 listens on ::1: once as shipped, which trusts it, and once with every other address trusted.
func TestIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Fatalf("these tests need the IPv6 loopback address: %v", err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	other := config.AddListener("other")
	other.Change(func(s object) {
		envoytest.At[object](s, "endpoints", 0, "trusted")["cidrs"] = []any{"::2/128", "127.0.0.0/8", "0.0.0.0/0"}
	})
	for _, name := range []string{"ingress", "other"} {
		// The port is reserved on 127.0.0.1, where nothing listens. Nothing else asks for one on ::1.
		envoytest.At[object](config.Listener(name).Object, "address", "socket_address")["address"] = "::1"
	}
	start(t, a, config, 1)
	address := func(l *envoytest.Listener) string {
		_, port, _ := net.SplitHostPort(l.Address())
		return net.JoinHostPort("::1", port)
	}
	loyal, strict := from("::1", address(config.Listener("ingress"))), from("::1", address(other))
	envoytest.Eventually(t, envoytest.Limit, "::1 is trusted", loyal.gets(check, 200, "OK"))
	passesUnchanged(t, a, loyal, "GET", "/shop", check, []string{"X-Expected: yes", "X-Forwarded-For: ::1"})
	passesUnchanged(t, a, strict, "GET", "/shop", check, []string{"X-Expected: yes"})
	strict.get(t, check).isApp(t, check)
}

package report

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/trust"
)

// listener is testdata/listener.txt, with a name and fields of its own. Its plugin, in a VM, has an endpoint a with a
// key, a maintenance route and a probe, and b, which rests on nothing but draining.
func listener(fields, vm string) string {
	text, err := os.ReadFile("testdata/listener.txt")
	if err != nil {
		panic(err)
	}
	return strings.NewReplacer("FIELDS", fields, "VM", vm).Replace(string(text))
}

// configured is what /config_dump has of an Envoy with such a listener.
var configured = `{"configs": [
	{"@type": "x.BootstrapConfigDump",
		"bootstrap": {"layered_runtime": {"layers": [{"name": "hand", "admin_layer": {}}]}}},
	{"@type": "x.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "adm"}}, {"cluster": {"name": "app"}}]},
	{"@type": "x.ListenersConfigDump", "static_listeners": [{"listener": ` + listener(`"name": "l"`, "") + `}]}]}`

// Without a status endpoint, admin says what checks get, or why that is not known.
func TestFromAdminAlone(t *testing.T) {
	t.Parallel()
	configurations := map[string]string{
		"": configured, "none": `{"configs": [{"@type": "x.ListenersConfigDump"}]}`,
		"undiscovered": `{"configs": [{"@type": "x.ListenersConfigDump", "static_listeners": [{"listener":
			{"name": "l", "fcds_config": {"name": "c"}}}]}]}`,
		"no-cluster": strings.Replace(configured, `"admin": {"cluster": "adm"`, `"admin": {"cluster": "gone"`, 1),
		"on-demand":  strings.Replace(configured, `"path": "/p"`, `"path": "/p", "on_demand": {}`, 1),
		"quiet": strings.NewReplacer(`"keys": ["k"], `, "", `, "probes": {"names": ["p"]}`, "", // nothing is asked
			`"probes": [{"name": "p", "cluster": "app", "path": "/p"}], "admin": {"cluster": "adm"}`, `"probes": []`,
		).Replace(configured),
		"twins":  strings.TrimSuffix(configured, "]}]}") + `, {"listener": ` + listener(`"name": "m"`, "m") + "}]}]}",
		"chains": strings.TrimSuffix(configured, "]}]}") + `, {"listener": ` + listener(`"name": "l"`, "m") + "}]}]}",
		"siblings": strings.TrimSuffix(configured, "]}]}") + `, {"listener": ` +
			strings.NewReplacer(`"name": "a"`, `"name": "c"`, `"name": "b"`, `"name": "d"`).Replace(
				listener(`"name": "m"`, "")) + "}]}]}",
		"proxied": strings.Replace(configured, `"name": "l"`, `"name": "l", "listener_filters": [{"typed_config":
			{"@type": "x.filters.listener.proxy_protocol.v3.ProxyProtocol"}}]`, 1),
		"secretless": strings.Replace(strings.Replace(configured, `"filter_chains": [{`, `"filter_chains": [{
			"transport_socket": {"certificates": [{"name": "cert", "sds_config": {}}]}, `, 1), `"configs": [`,
			`"configs": [{"@type": "x.SecretsConfigDump", "dynamic_warming_secrets": [{"name": "cert"}]}, `, 1),
		"spoils": strings.Replace(configured, `"http_filters"`,
			`"local_reply_config": {"mappers": [{"status_code": 404}]}, "http_filters"`, 1),
		"refused": strings.Replace(configured, `"/a"`, `"bad"`, 1),
		"sheds": strings.Replace(configured, `{"layered_runtime"`, `{"overload_manager": {"actions": [
			{"name": "shrink_heap"}, {"name": "stop_accepting_requests"}]}, "layered_runtime"`, 1),
		"updated": strings.TrimSuffix(strings.NewReplacer(`"static_listeners": [{`, `"dynamic_listeners": [{"active_state": {
			"last_updated": "2026-11-29T01:00:00Z", `, `"http_filters": [`, `"moon": "full", "http_filters": [`,
			`BootstrapConfigDump",`, `BootstrapConfigDump", "last_updated": "2026-11-29T00:00:00Z", `).
			Replace(configured), "]}]}") + "}]}]}",
		"goes": strings.TrimSuffix(configured, "]}]}") + `],
			"dynamic_listeners": [{"draining_state": {"listener": {"name": "other",
			"filter_chains": []}}}]}]}`,
		"unreloaded": strings.Replace(configured, "FAIL_RELOAD", "FAIL_CLOSED", 1),
		"later": strings.TrimSuffix(configured, "]}]}") + `, {"listener": ` +
			strings.Replace(listener(`"name": "m"`, "m"), `"admin": {`, `"later": 1, "admin": {`, 1) + "}]}]}",
	}
	datadriven.RunTest(t, "testdata/derived.txt", func(t *testing.T, d *datadriven.TestData) string {
		// The gauges of a plugin that is well, in which arguments change some, and others of Envoy's.
		stats := map[string]string{prefix + "maintenance.endpoint.a": "0", prefix + "maintenance.endpoint.b": "0",
			prefix + "probe_up.probe.p": "1", prefix + "draining": "0", prefix + "snapshot_age_seconds": "0",
			stoppedListeners: "0", drainingListeners: "0", drainingChains: "0"}
		gone, dump, state, entries, times := "", configured, "LIVE", map[string]admin.Entry{}, 0
		for _, arg := range d.CmdArgs {
			value := strings.Join(arg.Vals, " ")
			switch {
			case arg.Key == "gone":
				gone = value
			case arg.Key == "config":
				dump = configurations[value]
			case arg.Key == "state":
				state = value
			case arg.Key == "no-metrics":
				maps.DeleteFunc(stats, func(name, _ string) bool { return strings.HasPrefix(name, prefix) })
			case strings.HasPrefix(arg.Key, "runtime."):
				entries[arg.Key[len("runtime."):]] = admin.Entry{Value: value, Layers: []string{value}}
			case value == "-":
				delete(stats, prefix+arg.Key)
				delete(stats, arg.Key)
			case strings.Contains(arg.Key, "manager.") || strings.HasPrefix(arg.Key, "server.") ||
				strings.HasPrefix(arg.Key, "overload.") ||
				strings.HasPrefix(arg.Key, "wasm."):
				stats[arg.Key] = value
			default:
				stats[prefix+arg.Key] = value
			}
		}
		if d.Input != "" {
			entries["r"] = admin.Entry{Value: d.Input, Layers: []string{d.Input}}
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case gone:
				w.WriteHeader(http.StatusNotFound)
			case "/runtime":
				_ = json.NewEncoder(w).Encode(admin.Runtime{Layers: []string{"hand"}, Entries: entries})
			case "/stats":
				asked := regexp.MustCompile(r.URL.Query().Get("filter"))
				times++
				for name, value := range stats {
					if value == "rising" {
						value = fmt.Sprint(times)
					}
					if asked.MatchString(name) {
						fmt.Fprintln(w, name+": "+value)
					}
				}
			case "/config_dump":
				fmt.Fprint(w, dump)
			case "/server_info":
				fmt.Fprint(w, `{"version": "x", "node": {"id": "n"}}`)
			default:
				fmt.Fprint(w, state)
			}
		}))
		defer server.Close()
		client := must.Get(admin.New(server.URL, admin.Access{}))(t)
		r := FromAdmin(t.Context(), client, time.Now(), nil)
		var out strings.Builder
		for _, e := range r.Endpoints {
			fmt.Fprintf(&out, "%s: %d %q%s, %s", Named(e.Name, e.Listener), e.HTTPStatus, e.Verdict, e.Mark(), e.Output)
			if m := e.Maintenance; m != nil {
				fmt.Fprintf(&out, " (%s = %s: %s)", m.Key, m.Value, m.Reason)
			}
			fmt.Fprintln(&out)
		}
		for _, note := range append(r.Notes, r.Error) {
			if note != "" {
				fmt.Fprintln(&out, "note:", note)
			}
		}
		out.WriteString("expectations that are met:")
		for _, who := range []string{"", "a=", "b="} {
			for _, verdict := range Verdicts {
				if x, err := ParseExpectation(who + verdict); err != nil || r.Error == "" && len(x.Lacks(&r)) == 0 {
					out.WriteString(" " + who + verdict)
				}
			}
		}
		if strings.Contains(out.String(), "stopped to write") && r.SnapshotAgeMS != nil {
			t.Errorf("the record is said to be %d ms old, as a gauge has it that nobody sets", *r.SnapshotAgeMS)
		}
		return out.String() + "\n"
	})
}

// Why an endpoint is not as expected is what decides, not the first doubt, and of several plugins it is said which.
func TestLacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ verdict, listener, want string }{
		{"maintenance", "", "a is maintenance, not everywhere: listener \"m\" has no healthgate"},
		{"maintenance", "l", "a (l) is maintenance, not everywhere: listener \"m\" has no healthgate"},
		{"draining", "l", "a (l) is maintenance, not draining"},
	} {
		r := Report{Endpoints: []Endpoint{{Name: "a", Listener: test.listener, Verdict: "maintenance",
			Unsure: []string{"its status endpoint does not tell"}}}}
		r.unsure([]reach.Gap{{Endpoint: "a", Doubt: true, What: "Lua"},
			{Endpoint: "a", What: `listener "m" has no healthgate`}, {Endpoint: "a", What: `listener "n" has no healthgate`}})
		x := must.Get(ParseExpectation(test.verdict))(t)
		if got := x.Lacks(&r); len(got) != 1 || got[0] != test.want {
			t.Errorf("%q, want %s", got, test.want)
		}
	}
}

// A status document counts only when the asked Envoy sent it: by its id, its count of answers, its gauges and its
// configuration. Without a count it is not known who answered: an id may be that of many.
func TestStatusDocument(t *testing.T) {
	t.Parallel()
	const gauges = "maintenance.endpoint.a: 0\nmaintenance.endpoint.b: 0\nprobe_up.probe.p: 1\ndraining: 0\n"
	counted := func(asked int) string {
		return fmt.Sprintf("%schecks_total.endpoint.s.verdict.shown: %d\n", gauges, asked)
	}
	check := func(name, measurement, value, status string) string {
		return fmt.Sprintf(`"%s:%s": [{"componentId": %q, "observedValue": %s, "status": %q}]`, name,
			measurement, name, value, status)
	}
	a, b, p := check("a", "verdict", `"healthy"`, "pass"), check("b", "verdict", `"passed"`, "pass"), check("p",
		"responseTime", "3", "pass")
	all := strings.Join([]string{a, b, p, check("envoy", "draining", "false", "pass")}, ",")
	for _, test := range []struct {
		name, id, checks string
		stats            func(asked int) string
		why              string // why it does not count; empty: it does
	}{
		{"its own", "n", all, counted, ""},
		{"another id", "m", all, counted, `the node "m" answered, which is another Envoy`},
		{"the same id", "n", all, func(int) string { return counted(7) }, "another Envoy with the same id answered"},
		{"a count that was reset", "n", all, func(i int) string { return counted(map[int]int{0: 9}[i] + i) }, ""},
		{"a count that is reset again and again", "n", all, func(i int) string { return counted(9 - i) },
			"another Envoy with the same id answered"},
		{"a gauge of maintenance", "n", all, func(i int) string { return strings.Replace(counted(i), "a: 0", "a: 1", 1) },
			"contradicts its metric wasmcustom.healthgate_maintenance.endpoint.a"},
		{"a gauge of a probe", "n", all, func(i int) string { return strings.Replace(counted(i), "p: 1", "p: 0", 1) },
			"contradicts its metric wasmcustom.healthgate_probe_up.probe.p"},
		{"a gauge of draining", "n", all,
			func(i int) string { return strings.Replace(counted(i), "draining: 0", "draining: 1", 1) },
			"contradicts its metric wasmcustom.healthgate_draining"},
		{"a gauge that follows", "n", all, func(i int) string {
			if i < 2 {
				return strings.Replace(counted(i), "p: 1", "p: 0", 1)
			}
			return counted(i)
		}, ""},
		{"a probe that is too old to go by", "n",
			strings.Replace(all, p, check("p", "responseTime", "3", "warn"), 1), counted, ""},
		{"another configuration", "n", strings.Replace(all, b+",", "", 1), counted, "contradicts its configuration"},
		{"no count", "n", all, func(int) string { return "" }, "whether this Envoy answered is not known"},
		{"no count, but gauges that agree", "n", all, func(int) string { return gauges },
			"no metric of it counts the answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			asked, state := 0, atomic.Value{}
			state.Store("LIVE")
			var port string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/s":
					asked++
					w.Header().Set("Content-Type", "application/health+json")
					fmt.Fprintf(w, `{"serviceId": %q, "description": "health checks answered by healthgate", "checks": {%s}}`,
						test.id, test.checks)
				case "/runtime":
					fmt.Fprint(w, `{"layers": [], "entries": {}}`)
				case "/stats":
					fmt.Fprintln(w, stoppedListeners+": 0")
					for line := range strings.Lines(test.stats(asked)) {
						fmt.Fprint(w, prefix+line)
					}
				case "/config_dump":
					fmt.Fprint(w, strings.NewReplacer(`"name": "l"`,
						`"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": `+port+`}}`,
						`"healthy": {"action": "pass"}}`, `"healthy": {"action": "pass"}},
							{"name": "s", "kind": "status", "paths": ["/s"], "trusted": {"cidrs": ["10.0.0.0/8"]}}`).Replace(configured))
				case "/server_info":
					fmt.Fprint(w, `{"version": "x", "node": {"id": "n"}}`)
				default:
					fmt.Fprint(w, state.Load())
				}
			}))
			defer server.Close()
			port = server.URL[strings.LastIndex(server.URL, ":")+1:]
			client := must.Get(admin.New(server.URL, admin.Access{}))(t)
			r := FromAdmin(t.Context(), client, time.Now(), nil)
			if counts := len(r.StatusURLs) > 0; counts != (test.why == "") ||
				!strings.Contains(strings.Join(r.Notes, "\n"), test.why) {
				t.Errorf("it counts: %t, notes %q, want %q", counts, r.Notes, test.why)
			}
			if e := r.Endpoints[0]; (e.Source == "plugin") != (test.why == "") || (len(e.Unsure) == 0) != (test.why == "") {
				t.Errorf("the verdict is of %q, unsure: %q", e.Source, e.Unsure)
			}
			state.Store("DRAINING")
			r = FromAdmin(t.Context(), client, time.Now(), nil)
			unnoticed := slices.Contains(r.Endpoints[0].Unsure, "Envoy is DRAINING, and the plugin has not noticed it")
			if notices := strings.Contains(test.stats(9), "draining: 1"); unnoticed == notices {
				t.Errorf("that it drains is not noticed: %t", unnoticed)
			}
		})
	}
}

// Who answered in the place of the plugin is told by the answer.
func TestForeign(t *testing.T) {
	t.Parallel()
	envoy, app := "Server: envoy", "Server: envoy\nX-Envoy-Upstream-Service-Time: 1"
	refuses := &config.Endpoint{Untrusted: config.Reply{Status: 403, Body: "no"}}
	passes := &config.Endpoint{Untrusted: config.Reply{Pass: true}}
	ten, _ := trust.ParseCIDR("10.0.0.0/8")
	trusts := &config.Endpoint{Trusted: config.Trusted{Set: trust.NewSet([]trust.CIDR{ten})}}
	for _, test := range []struct {
		name    string
		status  int
		headers string
		body    string
		q       question
		want    string
	}{
		{"overload", 503, envoy, "envoy overloaded", question{},
			"Envoy is overloaded and refuses each request before any filter"},
		{"untrusted, refused", 403, envoy, "no", question{endpoint: refuses, from: "1.2.3.4"},
			"the plugin does not trust 1.2.3.4 there"},
		{"the application's own 403", 403, app, "no", question{endpoint: refuses, from: "1.2.3.4"},
			"went on to the application"},
		{"untrusted, passed on", 200, app, "hello", question{endpoint: passes, from: "1.2.3.4"},
			"went on to the application: 200 OK hello; is 1.2.3.4 in the endpoint's trusted list?"},
		{"trusted all the same", 200, app, "hello", question{endpoint: trusts, from: "10.0.0.7"},
			"the endpoint trusts 10.0.0.7, so the request did not come to the plugin"},
		{"a shut gate", 200, app, "", question{endpoint: passes, shut: true}, "the gate keeps it out of the plugin"},
		{"the gate not known", 200, app, "", question{from: "::1"},
			"is the path a status endpoint's, ::1 in its trusted list, the path in the gate, and " +
				"does it ask for neither hosts nor headers that this request lacks?"},
		{"an application that is down", 503, envoy, "no healthy upstream", question{}, "went on to the application"},
		{"an application that hangs up", 503, envoy, "upstream connect error or disconnect", question{},
			"went on to the application"},
		{"no route", 404, envoy, "", question{}, "as where no route of Envoy's takes its host and path"},
		{"a redirect", 301, envoy + "\nLocation: https://a/", "", question{}, "a redirect to https://a/"},
		{"RBAC", 403, envoy, "RBAC: access denied", question{}, "as where Envoy's RBAC filter refuses it"},
		{"a rate limit", 429, envoy, "local_rate_limited", question{}, "as where Envoy's rate limit refuses it"},
		{"a plugin that does not run", 503, envoy, "", question{}, "as Envoy answers for a plugin that does not run"},
		{"a health check's", 200, envoy, "OK", question{from: "::1"},
			`what came is no status document (server: "envoy"): 200 OK OK; is the path a status endpoint's, ::1`},
		{"no Envoy", 200, "Server: nginx", "hi", question{}, `what came is no status document (server: "nginx"): 200 OK hi`},
	} {
		response := &http.Response{StatusCode: test.status,
			Status: fmt.Sprintf("%d %s", test.status, http.StatusText(test.status)), Header: http.Header{}}
		for line := range strings.SplitSeq(test.headers, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			response.Header.Set(name, value)
		}
		if got := test.q.foreign(response, []byte(test.body)); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A request without an answer says what it met.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	raw := func(answer string) string {
		listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for c, err := listener.Accept(); err == nil; c, err = listener.Accept() {
				_, _ = io.ReadAtLeast(c, make([]byte, 4096), 16)
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}()
		return "http://" + listener.Addr().String()
	}
	closing, settings := raw(""), raw("\x00\x00\x12\x04\x00\x00\x00\x00\x00") // of HTTP/2
	lost := raw("HTTP/1.1 302 Found\r\nLocation: http://s3cret:%zz/\r\n\r\n")
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	open := httptest.NewServer(nil)
	defer open.Close()
	gone := httptest.NewServer(nil) // the last: nobody else gets its port
	gone.Close()
	for url, want := range map[string]string{
		closing:    "the connection was closed without an answer in HTTP/1.1",
		settings:   "a listener that wants HTTP/2",
		lost:       "a redirect to what is no address",
		gone.URL:   "connection refused: nobody listens there",
		secure.URL: "give the authority's certificate, --admin-ca-file FILE",
		"https" + strings.TrimPrefix(open.URL, "http"): "speaks no TLS: write http:// instead of https://",
	} {
		if r := FromURL(t.Context(), url+"/status", &tls.Config{}); !strings.Contains(r.Error, want) {
			t.Errorf("%s, want %s", r.Error, want)
		}
	}
	if r := FromURL(t.Context(), secure.URL+"/status", nil); !strings.Contains(r.Error, "no status document") {
		t.Error(r.Error)
	}
}

// A listener is asked only at an address that leads to it from here.
func TestBase(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	secure := object{"transport_socket": object{"typed_config": object{"@type": "x.DownstreamTlsContext"}}}
	clear := object{"transport_socket": object{"typed_config": object{"@type": "x.raw_buffer.v3.RawBuffer"}}}
	named := object{"filter_chain_match": object{"server_names": []any{"shop.example"}}}
	quic := object{"address": object{"socket_address": object{"protocol": "UDP"}}}
	proxied := func(others bool) object {
		return object{"listener_filters": []any{object{"typed_config": object{
			"@type": "x.filters.listener.proxy_protocol.v3.ProxyProtocol", "allow_requests_without_proxy_protocol": others}}}}
	}
	for _, test := range []struct {
		address, admin string
		listener       map[string]any
		chains         []any  // in which the plugin stands
		want           string // a URL, or why there is none
	}{
		{"10.0.0.7:80", "10.0.0.7", nil, nil, "http://10.0.0.7:80"},
		{"10.0.0.7:80", "", nil, nil, "http://10.0.0.7:80"},
		{"0.0.0.0:80", "10.0.0.7", nil, nil, "http://10.0.0.7:80"},
		{"[::]:80", "fd00::7", nil, nil, "http://[fd00::7]:80"},
		{"0.0.0.0:443", "pod.shop", nil, []any{secure}, "https://pod.shop:443"},
		{"0.0.0.0:80", "", nil, nil, "that of the admin does not tell which of them leads to it"},
		{"[::]:80", "", nil, nil, "that of the admin does not tell which of them leads to it"},
		{"127.0.0.1:80", "10.0.0.7", nil, nil, "on its own machine only"},
		{"[::1]:80", "pod.shop", nil, nil, "on its own machine only"},
		{"127.0.0.1:80", "localhost", nil, nil, "http://127.0.0.1:80"},
		{"127.0.0.2:80", "", nil, nil, "http://127.0.0.2:80"},
		{"", "10.0.0.7", nil, nil, "no TCP port of its listener"},
		{"10.0.0.7:80", "10.0.0.7", proxied(false), nil, "wants the PROXY protocol, which this command does not speak"},
		{"10.0.0.7:80", "10.0.0.7", proxied(true), nil, "http://10.0.0.7:80"},
		{"0.0.0.0:80", "10.0.0.7", nil, []any{secure, clear}, "http://10.0.0.7:80"},
		{"0.0.0.0:443", "10.0.0.7", nil, []any{named}, "that name a server, such as shop.example"},
		{"0.0.0.0:80", "10.0.0.7", nil, []any{named, clear}, "http://10.0.0.7:80"},
		{"0.0.0.0:443", "10.0.0.7", quic, []any{secure}, "speaks QUIC, which this command does not"},
	} {
		url, why := base(reach.Place{Address: test.address, Listener: test.listener, Chains: test.chains}, test.admin)
		if got := url + why; !strings.HasSuffix(strings.TrimSuffix(got, ": give --status-url"), test.want) {
			t.Errorf("%s by admin on %q: %s, want %s", test.address, test.admin, got, test.want)
		}
	}
}

// An address that leads to several Envoys by turns tells of none.
func TestSeveralEnvoys(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); r.URL.Path {
		case "/runtime":
			fmt.Fprint(w, `{"layers": [], "entries": {}}`)
		case "/config_dump":
			fmt.Fprint(w, strings.Replace(configured, `"bootstrap"`, fmt.Sprintf(`"last_updated": "%d", "bootstrap"`, n%2), 1))
		case "/server_info":
			fmt.Fprint(w, `{"version": "x"}`)
		case "/ready":
			fmt.Fprint(w, "LIVE")
		}
	}))
	defer server.Close()
	r := FromAdmin(t.Context(), must.Get(admin.New(server.URL, admin.Access{}))(t), time.Now(), nil)
	if r.Error != admin.ErrAnother.Error() || len(r.Endpoints) > 0 {
		t.Errorf("%+v", r)
	}
}

// A status document that a cache kept tells nothing of now.
func TestCachedDocument(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Age", "7")
		w.Header().Set("Content-Type", "application/health+json")
		fmt.Fprint(w, `{"description": "health checks answered by healthgate", "checks": {}}`)
	}))
	defer server.Close()
	if got := FromURL(t.Context(), server.URL+"/s", nil).Error; got != "a cache answered, with what was so 7 s ago" {
		t.Errorf("%q", got)
	}
}

// Whatever a document says of an endpoint, but that a key has it in maintenance, is not for sure where a route may.
func TestDocumentByRoute(t *testing.T) {
	t.Parallel()
	const note = "maintenance by route is decided for each check, and not known here"
	var document string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/health+json")
		fmt.Fprintf(w, `{"description": "healthgate", "checks": {"a:verdict": [{"componentId": "a", %s}]}}`, document)
	}))
	defer server.Close()
	for _, test := range []struct{ document, output, unsure string }{
		{`"status": "pass", "observedValue": "healthy", "output": "` + note + `"`, "", note},
		{`"status": "warn", "observedValue": "degraded", "output": "p (500); ` + note + `"`, "p (500)", note},
		{`"status": "fail", "observedValue": "unhealthy", "output": "p (500)"`, "p (500)", ""},
		{`"status": "fail", "observedValue": "maintenance", "output": "maintenance by route", "maintenance": {"key": "k"}`,
			"maintenance by route", ""},
	} {
		document = test.document
		e := FromURL(t.Context(), server.URL+"/s", nil).Endpoints[0]
		if e.Output != test.output || strings.Join(e.Unsure, "; ") != test.unsure {
			t.Errorf("%s: %q, unsure %q", document, e.Output, e.Unsure)
		}
	}
}

package order

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/config"
)

// configuration is what /config_dump has of an Envoy: an endpoint a with the keys k and z, and a maintenance route by r.
const configuration = `{"configs": [
	{"@type": "x.BootstrapConfigDump", "bootstrap": {"layered_runtime": {"layers": [{"name": "disk", "disk_layer": {"symlink_root": "/r"}},
		{"name": "rtds", "rtds_layer": {"rtds_config": {"path_config_source": {"path": "/rtds.yaml"}}}}, {"name": "hand", "admin_layer": {}}]}}},
	{"@type": "x.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "adm"}}]},
	{"@type": "x.ListenersConfigDump", "static_listeners": [{"listener": {"name": "l", "filter_chains": [{"filters": [{"typed_config": {
		"@type": "x.http_connection_manager.v3.HttpConnectionManager", "http_filters": [{"name": "hg", "disabled": GATE, "typed_config": {
		"@type": "x.filters.http.wasm.v3.Wasm", "config": {"configuration": {"value": {"endpoints": [{"name": "a", "paths": ["/a"], "hosts": ["shop"], "methods": ["HEAD", "OPTIONS"],
			"headers": [{"name": "x", "exact": "y"}, {"name": "u", "present_match": true}, {"name": "n", "present_match": false}],
			"trusted": {"cidrs": ["10.0.0.0/8"]}, "maintenance": {"keys": ["k", "z"], "route_metadata": true}},
			{"name": "b", "paths": ["/b"], "trusted": {"cidrs": ["10.0.0.0/8"]}}], "admin": {"cluster": "adm"}}}}}}],
		"route_config": {"virtual_hosts": [{"domains": ["*"], "routes": [{"match": {"path": "/a", "runtime_fraction": {"runtime_key": "r", "default_value": {"numerator": DEFAULT}}},
			"metadata": {"filter_metadata": {"healthgate": {"maintenance": true}}}, "typed_per_filter_config": {"hg": {}}, "route": {"cluster": "app"}},
			{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}}}]}]}}]}]}`

func read(t *testing.T, edits ...string) *reach.Envoy {
	t.Helper()
	var dump any
	text := strings.NewReplacer(append(edits, "GATE", "false", "DEFAULT", "0")...).Replace(configuration)
	if err := json.Unmarshal([]byte(text), &dump); err != nil {
		t.Fatal(err)
	}
	return reach.Read(dump, config.Node{})
}

// What an Envoy says is held against what was ordered.
func TestLacks(t *testing.T) {
	t.Parallel()
	on, off, routeOn, routeOff := Order{Key: "k", Value: On, On: true}, Order{Key: "k"}, Order{Key: "r", Value: RouteOn, On: true, Route: true}, Order{Key: "r", Route: true}
	values := func(disk, rtds, hand string) admin.Entry {
		final := hand
		for _, v := range []string{rtds, disk} {
			if final == "" {
				final = v
			}
		}
		return admin.Entry{Value: final, Layers: []string{disk, rtds, hand}}
	}
	in, out := map[string]bool{"a": true}, map[string]bool{"a": false}
	known, shut, stuck := read(t), read(t, "GATE", "true"), read(t, "DEFAULT", "100")
	var wrongAdmin, noMetrics *reach.Envoy = read(t, `"cluster": "adm"}}}}`, `"cluster": "gone"}}}}`), read(t, `{"layered_runtime"`, `{"stats_config": {"stats_matcher": {"reject_all": true}}, "layered_runtime"`)
	for _, test := range []struct {
		name    string
		order   Order
		kind    reach.Kind
		known   *reach.Envoy
		wasOn   bool
		was     []string // in maintenance
		entries map[string]admin.Entry
		gauges  map[string]bool
		arrived time.Duration
		want    string // part of the problem; empty: none
	}{
		{"on", on, reach.Admin, known, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, in, 0, ""},
		{"not there yet", on, reach.RTDS, known, false, nil, nil, out, 0, `the key has not arrived in its layer "rtds", which reads /rtds.yaml`},
		{"not there, and on by another layer", on, reach.RTDS, known, true, []string{"a"}, map[string]admin.Entry{"k": values("", "", "true")}, in, 0, `has not arrived in its layer "rtds"`},
		{"not there, where the layers are not known", on, reach.RTDS, nil, false, nil, nil, out, 0, "has not arrived"},
		{"a later layer wins", on, reach.Disk, known, false, nil, map[string]admin.Entry{"k": values("true", "", "false")}, out, 0, `the layer "hand" says "false"`},
		{"another reason", Order{Key: "k", Value: On, On: true, Reason: "r"}, reach.Admin, known, false, nil,
			map[string]admin.Entry{"k": values("", "", "true"), "k.reason": values("", "", "q")}, in, 0, `its reason is "q"`},
		{"not read yet", on, reach.Admin, known, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, out, 0,
			`the key is set, and not in maintenance: a: can the plugin reach admin, through the cluster "adm"?`},
		{"no plugin to be seen", on, reach.Admin, nil, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, nil, 0, "no metric of healthgate"},
		{"in maintenance, and all else unknown", on, reach.Admin, nil, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, in, 0, "configuration can't be read"},
		{"no metric", on, reach.Admin, known, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, nil, 0, "and no metric of the plugin is there"},
		{"a stats_matcher", on, reach.Admin, noMetrics, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, nil, 0, "its stats_matcher leaves out"},
		{"a stats_matcher, off", off, reach.Admin, noMetrics, true, nil, nil, nil, 0, "its stats_matcher leaves out"},
		{"no such admin.cluster", on, reach.Admin, wrongAdmin, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, out, 0, `admin.cluster is "gone"`},
		{"no gate", on, reach.Admin, shut, false, nil, map[string]admin.Entry{"k": values("", "", "true")}, in, 0, "no route enables the filter for /a"},
		{"in maintenance from before", on, reach.Admin, known, false, []string{"a"}, map[string]admin.Entry{"k": values("", "", "true")}, in, time.Second, "may not have read it yet"},
		{"in maintenance from before, and still", on, reach.Admin, known, false, []string{"a"}, map[string]admin.Entry{"k": values("", "", "true")}, in, settle, ""},
		{"on again", on, reach.Admin, known, true, []string{"a"}, map[string]admin.Entry{"k": values("", "", "true")}, in, 0, ""},
		{"off", off, reach.Admin, known, true, []string{"a"}, nil, out, 0, ""},
		{"off, and still in the layer", off, reach.Admin, known, true, nil, map[string]admin.Entry{"k": values("", "", "false")}, out, 0, `the layer "hand" still says "false"`},
		{"another layer has it on", off, reach.Admin, known, true, nil, map[string]admin.Entry{"k": values("true", "", "")}, in, 0, `the layer "disk" says "true": take it back there`},
		{"off, and not read yet", off, reach.Admin, known, true, []string{"a"}, nil, in, 0, "still in maintenance: a: can the plugin reach admin"},
		{"off, where nothing is known, and not read yet", off, reach.Admin, nil, true, []string{"a"}, nil, in, 0, "still in maintenance: a: is another key on"},
		{"off, and another key is on", off, reach.Admin, known, false, []string{"a"}, map[string]admin.Entry{"z": values("true", "", "")}, in, 0, "still in maintenance: a, by z"},
		{"off, and a route is on", off, reach.Admin, known, true, []string{"a"}, map[string]admin.Entry{"r": values("", "", "100")}, out, 0, "still in maintenance: a, by r"},
		{"a route, off, and a key is on", routeOff, reach.Admin, known, true, nil, map[string]admin.Entry{"z": values("", "", "true")}, in, 0, "still in maintenance: a, by z"},
		{"overridden", Order{Key: "k", Value: Off}, reach.Admin, known, false, nil, map[string]admin.Entry{"k": values("true", "", "false")}, out, 0, ""},
		{"not overridden yet", Order{Key: "k", Value: Off}, reach.Admin, known, false, nil, nil, out, 0, "has not arrived"},
		{"a route", routeOn, reach.Admin, known, false, nil, map[string]admin.Entry{"r": values("", "", "100")}, out, 0, ""},
		{"a route, and all else unknown", routeOn, reach.Admin, nil, false, nil, map[string]admin.Entry{"r": values("", "", "100")}, out, 0, "configuration can't be read"},
		{"a route, off", routeOff, reach.Admin, known, true, nil, nil, out, 0, ""},
		{"a route, off, and its default is on", routeOff, reach.Admin, stuck, true, nil, nil, out, 0, "by its default_value: say --override"},
	} {
		client, err := admin.New("a:1", admin.Access{})
		if err != nil {
			t.Fatal(err)
		}
		e := &Envoy{State: State{On: &test.wasOn, Endpoints: test.was}, client: client, key: test.order.Key, route: test.order.Route, known: test.known,
			unknown: net.ErrClosed, gauges: test.gauges, runtime: &admin.Runtime{Layers: []string{"disk", "rtds", "hand"}, Entries: test.entries}}
		lack := e.runtimeLacks(test.order, test.kind, time.Now())
		if lack.what == "" {
			lack = e.pluginLacks(test.order, test.arrived, time.Now())
		}
		if (lack.what == "") != (test.want == "") || !strings.Contains(lack.what, test.want) {
			t.Errorf("%s: %q, want %q", test.name, lack.what, test.want)
		}
	}
}

// An order of which nothing would come is refused before anything is written, and why is told.
func TestRefuses(t *testing.T) {
	t.Parallel()
	byHost := []string{`{"name": "b",`, `{"name": "c", "paths": ["/a"], "hosts": ["other"], "trusted": {"cidrs": ["10.0.0.0/8"]}, "maintenance": {"keys": ["o"]}}, {"name": "b",`}
	for _, test := range []struct {
		name, key string
		order     Order
		kind      reach.Kind
		edits     []string
		value     string // of the key, before
		checks    []string
		want      string
	}{
		{"on", "k", Order{On: true}, reach.Admin, nil, "", nil, ""},
		{"a misspelt key", "l", Order{On: true}, reach.Admin, nil, "", nil, "no endpoint has the key l; there is k, z"},
		{"a misspelt key, off", "l", Order{}, reach.Admin, nil, "", nil, "no endpoint has the key l; there is k, z"},
		{"a misspelt key that is set, off", "l", Order{}, reach.Admin, nil, "true", nil, ""},
		{"the key of an endpoint as that of a route", "k", Order{On: true, Route: true}, reach.Admin, nil, "", nil, "no maintenance route has the key k; an endpoint has it: leave out --route"},
		{"the key of a route as that of an endpoint", "r", Order{On: true}, reach.Admin, nil, "", nil, "no endpoint has the key r; a maintenance route has it: say --route"},
		{"a check", "k", Order{On: true}, reach.Admin, nil, "", []string{"http://h/a"}, ""},
		{"a check of something else", "k", Order{}, reach.Admin, nil, "", []string{"http://h/a", "http://h/c"}, "--verify: no health check has the path of http://h/c"},
		{"a check of what the key does not switch", "k", Order{On: true}, reach.Admin, nil, "", []string{"http://h/b"},
			`--verify: the endpoint "b" has the path of http://h/b, and k does not switch it`},
		{"a check of one by its host", "o", Order{On: true}, reach.Admin, byHost, "", []string{"http://other/a"}, ""},
		{"a check of one by the key", "o", Order{On: true}, reach.Admin, byHost, "", []string{"http://10.0.0.7/a"}, ""},
		{"a check of another by its host", "k", Order{On: true}, reach.Admin, byHost, "", []string{"http://other/a"},
			`--verify: the endpoint "c" has the path of http://other/a, and k does not switch it`},
		{"no route", "r", Order{On: true, Route: true}, reach.Admin, []string{`"maintenance": true`, `"maintenance": false`}, "", nil, "no maintenance route has the key r, or any"},
		{"no plugin", "k", Order{On: true}, reach.Admin, []string{"wasm.v3.Wasm", "lua.v3.Lua"}, "", nil, "its configuration has no healthgate"},
		{"no such layer", "k", Order{On: true}, reach.RTDS, []string{"rtds_layer", "static_layer"}, "", nil,
			`its runtime has no rtds layer, only "disk" (disk), "rtds" (static), "hand" (admin): add one, or write to another kind`},
		{"no file", "k", Order{On: true}, reach.RTDS, []string{`"path_config_source"`, `"ads"`}, "", nil, `its layer "rtds" comes from a server, not from a file: change the key there`},
	} {
		e := &Envoy{State: State{Value: test.value}, key: test.key, route: test.order.Route, known: read(t, test.edits...)}
		if got := e.Refuses(test.order, test.kind, test.checks); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A plugin of a later version than the command is switched all the same, and what is not known of it is said.
func TestLaterPlugin(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/runtime":
			fmt.Fprint(w, `{"layers": ["hand"], "entries": {"k": {"final_value": "true", "layer_values": ["true"]}}}`)
		case "/stats":
			fmt.Fprintln(w, "wasmcustom.healthgate_maintenance.endpoint.a: 1")
		case "/config_dump":
			fmt.Fprint(w, strings.NewReplacer("GATE", "false", "DEFAULT", "0", `"admin": {`, `"later": 1, "admin": {`).Replace(configuration))
		default:
			fmt.Fprint(w, "{}")
		}
	}))
	defer server.Close()
	client, err := admin.New(server.URL, admin.Access{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, order := Ask(ctx, client, "k", false), Order{Key: "k", Value: On, On: true}
	if what := e.Refuses(order, reach.Admin, nil); what != "" {
		t.Errorf("refused: %s", what)
	}
	if s := e.Wait(ctx, order, reach.Admin, nil); !s.on() || !strings.Contains(s.Error, "is the plugin of a later version?") || !strings.Contains(s.Error, "later") {
		t.Errorf("%+v", s)
	}
}

func TestSome(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1: "a", 4: "a; a; a; a", 6: "a; a; a; a; and 2 more, see: healthgate status"} {
		if got := some(slices.Repeat([]string{"a"}, n)); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// While it is waited, one connection serves, and the whole of runtime is asked for only until the key is there.
func TestWaitAsksForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	var connections, runtimes, gauges atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/runtime":
			value := map[bool]string{true: "true"}[runtimes.Add(1) > 2] // once when it is asked first, once too early
			fmt.Fprintf(w, `{"layers": ["disk", "rtds", "hand"], "entries": {"k": {"final_value": %q, "layer_values": ["", "", %q]}}}`, value, value)
		case "/stats":
			fmt.Fprintf(w, "wasmcustom.healthgate_maintenance.endpoint.a: %d\n", gauges.Add(1)/5)
		case "/config_dump":
			fmt.Fprint(w, strings.NewReplacer("GATE", "false", "DEFAULT", "0").Replace(configuration))
		default:
			fmt.Fprint(w, "{}")
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client, err := admin.New(server.URL, admin.Access{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := Ask(ctx, client, "k", false)
	if s := e.Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil); s.Error != "" || !s.on() || len(s.Endpoints) != 1 {
		t.Errorf("%+v", s)
	}
	if connections.Load() != 1 || runtimes.Load() != 3 || gauges.Load() != 5 {
		t.Errorf("%d connections, runtime %d times, gauges %d times", connections.Load(), runtimes.Load(), gauges.Load())
	}
}

// A change that got no answer may have been carried out: nothing is said of the key then. One that was refused was not.
func TestPostFails(t *testing.T) {
	t.Parallel()
	for answered, want := range map[bool]string{false: "whether the key was written is not known", true: "answered 403"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/runtime":
				fmt.Fprint(w, `{"layers": ["hand"], "entries": {"k": {"final_value": "false", "layer_values": ["false"]}}}`)
			case "/runtime_modify":
				if !answered {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(http.StatusForbidden)
			default:
				fmt.Fprint(w, "{}")
			}
		}))
		defer server.Close()
		client, err := admin.New(server.URL, admin.Access{})
		if err != nil {
			t.Fatal(err)
		}
		order := Order{Key: "k", Value: On, On: true}
		s, sent := Ask(t.Context(), client, "k", false).Post(t.Context(), order)
		if sent || !strings.Contains(s.Error, want) || (s.On != nil) != answered || (s.Value != "") != answered || s.Key != "k" || s.Endpoints == nil {
			t.Errorf("answered %t: %+v", answered, s)
		}
	}
}

// A check is sent as the endpoint wants it, and what it gets is held against the endpoint's own maintenance reply.
func TestVerify(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.Host != "shop" || r.Header.Get("x") != "y" || r.Header["U"] == nil || r.Header["N"] != nil {
			t.Errorf("%s %s %v", r.Method, r.Host, r.Header)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	e := &Envoy{key: "k", known: read(t)}
	for _, test := range []struct {
		status int
		on     bool
		path   string
		want   string
	}{
		{503, true, "/a", ""}, {200, true, "/a", "gets 200 OK, and in maintenance it is 503"}, {503, false, "/a", "still gets 503"},
		{200, false, "/a", ""}, {500, false, "/a", ""},
	} {
		status.Store(int32(test.status))
		lack := e.verify(t.Context(), Order{Key: "k", On: test.on}, server.URL+test.path)
		if (lack.what == "") != (test.want == "") || !strings.Contains(lack.what, test.want) {
			t.Errorf("%+v: %s", test, lack.what)
		}
	}
}

package order

import (
	"cmp"
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

	"github.com/cockroachdb/datadriven"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/lifecycle"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
)

// testdata/configuration.txt is what /config_dump has of an Envoy: an endpoint a with the keys k and z, a maintenance
// route by r, and an endpoint b. testdata/twin.txt is a second listener, whose plugin has an endpoint a, too, and a
// VM of its own.
func configuration(t *testing.T, edits ...string) string {
	t.Helper()
	text := must.Read(t, "testdata/configuration.txt")
	return strings.NewReplacer(append(edits, "GATE", "false", "DEFAULT", "0", "TWIN", "")...).Replace(text)
}

func read(t *testing.T, edits ...string) *reach.Envoy {
	t.Helper()
	var dump any
	must.Do(t, json.Unmarshal([]byte(configuration(t, edits...)), &dump))
	return reach.Read(dump, config.Node{}, nil)
}

// entry is a runtime key with a value for each layer; "-" where a layer does not have the key.
func entry(values []string) (e admin.Entry) {
	for _, v := range values {
		v = strings.TrimPrefix(v, "-")
		e.Layers = append(e.Layers, v)
		e.Value = cmp.Or(v, e.Value)
	}
	return e
}

// What an Envoy says is held against what was ordered.
func TestLacks(t *testing.T) {
	t.Parallel()
	orders := map[string]Order{
		"on": {Key: "k", Value: On, On: true}, "on-why": {Key: "k", Value: On, On: true, Reason: "r"},
		"on-until": {Key: "k", Value: "2026-01-01T06:00:00Z", On: true},
		"shutdown": {Key: "k", Value: On, On: true, Steps: true},
		"off":      {Key: "k"}, "override": {Key: "k", Value: Off},
		"route-on": {Key: "r", Value: RouteOn, On: true, Route: true}, "route-off": {Key: "r", Route: true},
	}
	twin := must.Read(t, "testdata/twin.txt")
	configurations := map[string]*reach.Envoy{
		"known": read(t), "unknown": nil, "shut": read(t, "GATE", "true"), "stuck": read(t, "DEFAULT", "100"),
		"no-cluster": read(t, `"cluster": "adm"}}}}`, `"cluster": "gone"}}}}`),
		"no-metrics": read(t, `{"layered_runtime"`,
			`{"stats_config": {"stats_matcher": {"reject_all": true}}, "layered_runtime"`),
		"twins": read(t, "TWIN", twin),
		"restricted": read(t, `"config": {"failure_policy"`,
			`"config": {"capability_restriction_config": {"allowed_capabilities": {"proxy_log": {}}}, "failure_policy"`),
		"replaced": read(t, `"http_filters"`, `"local_reply_config": {"mappers": [{"status_code": 502}]}, "http_filters"`),
		"elsewhere": read(t, `"bootstrap": {`, `"bootstrap": {"admin": {"address": {"socket_address": {
			"address": "127.0.0.1", "port_value": 9901}}}, `, `{"name": "adm"}`, `{"name": "adm", "load_assignment": {
			"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9902}}}}`),
		"none":       read(t, "filters.http.wasm", "filters.http.lua"),
		"unreloaded": read(t, "FAIL_RELOAD", "FAIL_CLOSED"),
		"beside":     read(t, `"paths": ["/b"]`, `"paths": ["/a"]`),
		"two": read(t, `"/rtds.yaml"}}}}`, `"/rtds.yaml"}}}}, {"name": "rtds2", "rtds_layer": {"name": "keys", "rtds_config":
			{"path_config_source": {"path": "/rtds2.yaml"}}}}, {"name": "disk2", "disk_layer": {"symlink_root": "/r",
			"subdirectory": "over"}}`),
		"named": read(t, `"rtds_layer": {`, `"rtds_layer": {"name": "keys", `),
		"bare":  read(t, `"layered_runtime"`, `"other"`),
	}
	kinds := map[string]reach.Kind{"": reach.Admin, "disk": reach.Disk, "rtds": reach.RTDS}
	datadriven.RunTest(t, "testdata/lacks.txt", func(t *testing.T, d *datadriven.TestData) string {
		arg := func(name string) (values []string) {
			if d.HasArg(name) {
				d.ScanArgs(t, name, &values)
			}
			return values
		}
		word := func(name string) string { return strings.Join(arg(name), "") }
		client := must.Get(admin.New("a:1", admin.Access{}))(t)
		order, known := orders[d.Cmd], configurations[cmp.Or(word("config"), "known")]
		wasOn := d.HasArg("was-on")
		e := &Envoy{
			State: State{On: &wasOn, Endpoints: arg("was")}, client: client, key: order.Key, route: order.Route,
			known: known, unknown: net.ErrClosed, gauges: map[string]bool{"a": d.HasArg("in")},
			countsSeen: !d.HasArg("no-gauge"),
			runtime:    &admin.Runtime{Layers: []string{"disk", "rtds", "hand"}, Entries: map[string]admin.Entry{}},
		}
		if word("config") == "two" {
			e.runtime.Layers = []string{"disk", "rtds", "rtds2", "disk2", "hand"}
		}
		order.Path, order.Folder = word("path"), word("folder")
		if values := arg("before"); values != nil {
			e.before = &admin.Runtime{Layers: e.runtime.Layers, Entries: map[string]admin.Entry{order.Key: entry(values)}}
		}
		if d.HasArg("no-gauge") {
			e.gauges = nil
		}
		if d.HasArg("not-loaded") {
			e.runtime.Layers[0] = "another"
		}
		e.still = d.HasArg("still")
		if d.HasArg("stopped") {
			e.stopped = "Envoy has stopped listeners"
		}
		if d.HasArg("overload") {
			e.overload = "Envoy is overloaded"
		}
		e.failing = d.HasArg("failing")
		if d.HasArg("unseen") {
			e.drainsUnseen, e.refusesUnseen = "whether it drains is not known", "whether it refuses is not known"
		}
		if d.HasArg("drains") {
			e.drains = "an earlier configuration drains"
		}
		for i, told := range arg("told") {
			e.told = append(e.told, report.Endpoint{Listener: []string{"l", "m"}[i], Name: "a", Verdict: told})
		}
		for _, key := range []string{"k", "k.reason", "z", "r"} {
			if values := arg(key); values != nil {
				e.runtime.Entries[key] = entry(values)
			}
		}
		if d.Input != "" {
			e.runtime.Entries["r"] = entry([]string{"-", d.Input + "\n", "-"})
		}
		arrived := must.Get(time.ParseDuration(cmp.Or(word("after"), "1m")))(t)
		e.State.Value, e.State.Layer = e.runtime.Entries[order.Key].Value, e.runtime.Layer(order.Key)
		lack := e.runtimeLacks(order, kinds[word("layer")], time.Now())
		if lack.what == "" {
			lack = e.pluginLacks(order, map[string]bool{word("verified"): true}, arrived, time.Now())
		}
		out := cmp.Or(lack.what, "nothing") + "\n"
		if lack.what == "" {
			for _, note := range e.besides(order) {
				out += "note: " + note + "\n"
			}
		}
		return out
	})
}

// An order of which nothing would come is refused before anything is written, and why is told.
func TestRefuses(t *testing.T) {
	t.Parallel()
	on, onRoute := Order{On: true}, Order{On: true, Route: true}
	byHost := []string{`{"name": "b",`, `{"name": "c", "paths": ["/a"], "hosts": ["other"],
		"trusted": {"cidrs": ["10.0.0.0/8"]}, "maintenance": {"keys": ["o"]}}, {"name": "b",`}
	for _, test := range []struct {
		name, key string
		order     Order
		edits     []string
		checks    []string
		want      string
	}{
		{"on", "k", on, nil, nil, ""},
		{"a misspelt key", "l", on, nil, nil, "no endpoint has the key l; there is k, z"},
		{"a misspelt key, off", "l", Order{}, nil, nil, "no endpoint has the key l; there is k, z"},
		{"a misspelt key that is set, off", "set", Order{}, nil, nil, ""},
		{"the key of an endpoint as that of a route", "k", onRoute, nil, nil,
			"no maintenance route has the key k; an endpoint has it: leave out --route"},
		{"the key of a route as that of an endpoint", "r", on, nil, nil,
			"no endpoint has the key r; a maintenance route has it, which maintenance on and off take with --route"},
		{"a route that no endpoint knows", "r", onRoute, []string{`, "route_metadata": true`, ""}, nil,
			"the maintenance route has the key r, and none of the endpoints that it takes has " +
				"maintenance.route_metadata: true, without which the plugin does not see it"},
		{"a check", "k", on, nil, []string{"http://h/a"}, ""},
		{"a check of something else", "k", Order{}, nil, []string{"http://h/a", "http://h/c"},
			"--verify: no health check has the path of http://h/c"},
		{"a check of what the key does not switch", "k", on, nil, []string{"http://h/b"},
			`--verify: the endpoint "b" has the path of http://h/b, and k does not switch it`},
		{"a check of one by its host", "o", on, byHost, []string{"http://other/a"}, ""},
		{"a check of one by the key", "o", on, byHost, []string{"http://10.0.0.7/a"}, ""},
		{"a check of another by its host", "k", on, byHost, []string{"http://other/a"},
			`--verify: the endpoint "c" has the path of http://other/a, and k does not switch it`},
		{"no route", "r", onRoute, []string{`"maintenance": true`, `"maintenance": false`}, nil,
			"no maintenance route has the key r, or any"},
		{"no plugin", "k", on, []string{"wasm.v3.Wasm", "lua.v3.Lua"}, nil, "its configuration has no healthgate"},
		{"no such layer", "k", on, []string{"rtds_layer", "static_layer"}, nil,
			`its runtime has no rtds layer, only "disk" (disk), "rtds" (static), "hand" (admin): ` +
				"add one, or write to another kind"},
		{"no file", "k", on, []string{`"path_config_source"`, `"ads"`}, nil,
			`its layer "rtds" comes from a server, not from a file: change the key there`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &Envoy{key: test.key, route: test.order.Route, known: read(t, test.edits...)}
			if test.key == "set" {
				e.State.Value = "true"
			}
			if got := e.Refuses(test.order, reach.RTDS, test.checks); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// answers are those of an admin by path; a path that is not among them gets what /server_info tells at the least.
type answers map[string]func(w http.ResponseWriter)

// says is an answer that is always the same.
func says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, text) }
}

// start starts an admin, and counts the connections that are made to it.
func (a answers) start(t *testing.T) (*admin.Client, *atomic.Int32) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stats" && r.URL.Query().Get("filter") == "" {
			t.Errorf("%s asks for all of an Envoy's metrics", r.URL)
		}
		if answer := a[r.URL.Path]; answer != nil {
			answer(w)
			return
		}
		fmt.Fprint(w, `{"version": "x"}`)
	}))
	var connections atomic.Int32
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := must.Get(admin.New(server.URL, admin.Access{}))(t)
	return client, &connections
}

const (
	isOn = `{"layers": ["disk", "rtds", "hand"],
		"entries": {"k": {"final_value": "true", "layer_values": ["", "", "true"]}}}`
	gaugeOfA = "listener_manager.listener_stopped: 0\nlistener_manager.total_listeners_draining: 0\n" +
		"listener_manager.total_filter_chains_draining: 0\n" +
		"wasmcustom.healthgate_checks_total.endpoint.a.verdict.healthy: 1\n" +
		"wasmcustom.healthgate_maintenance.endpoint.a: "
)

// A plugin of a later version than the command is switched all the same, and what is not known of it is said.
func TestLaterPlugin(t *testing.T) {
	t.Parallel()
	client, _ := answers{
		"/runtime": says(isOn), "/stats": says(gaugeOfA +
			"1\n"), "/config_dump": says(configuration(t, `"admin": {`, `"later": 1, "admin": {`)),
	}.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, order := Ask(ctx, client, "k", false), Order{Key: "k", Value: On, On: true}
	if what := e.Refuses(order, reach.Admin, nil); what != "" {
		t.Errorf("refused: %s", what)
	}
	s := e.Wait(ctx, order, reach.Admin, nil)
	if !s.on() || !strings.Contains(s.Error, "is the plugin of a later version?") || !strings.Contains(s.Error, "later") {
		t.Errorf("%+v", s)
	}
}

// A key that the plugin polls is not taken out as one of a route, of which no endpoint is waited for.
func TestRefusesKeyOfTheOtherKind(t *testing.T) {
	t.Parallel()
	client, _ := answers{"/runtime": says(isOn), "/stats": says(gaugeOfA + "1\n"),
		"/config_dump": says(configuration(t))}.start(t)
	for route, want := range map[bool]string{true: "an endpoint has it: leave out --route", false: ""} {
		what := Ask(t.Context(), client, "k", route).Refuses(Order{Key: "k", Route: route}, reach.Admin, nil)
		if !strings.Contains(what, want) || want == "" && what != "" {
			t.Errorf("route %t: refused with %q, want %q", route, what, want)
		}
	}
}

func TestSome(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1: "a", 4: "a; a; a; a",
		6: "a; a; a; a; and 2 more, which healthgate status shows"} {
		if got := some(slices.Repeat([]string{"a"}, n)); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// While it is waited, one connection serves, and the whole of runtime is asked for until the key is there, at the end,
// and now and then.
func TestWaitAsksForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	var runtimes, gauges atomic.Int32
	client, connections := answers{
		"/runtime": func(w http.ResponseWriter) { // asked once at first, once too early
			if runtimes.Add(1) > 2 {
				fmt.Fprint(w, isOn)
				return
			}
			fmt.Fprint(w, strings.ReplaceAll(isOn, `"true"`, `""`))
		},
		"/stats":       func(w http.ResponseWriter) { fmt.Fprintln(w, gaugeOfA+fmt.Sprint(gauges.Add(1)/5)) },
		"/config_dump": says(configuration(t)),
	}.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	s := Ask(ctx, client, "k", false).Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil)
	if s.Error != "" || !s.on() || len(s.Endpoints) != 1 {
		t.Errorf("%+v", s)
	}
	most := 4 + int32(time.Since(begin).Seconds())
	if connections.Load() != 1 || runtimes.Load() < 4 || runtimes.Load() > most || gauges.Load() != 5 {
		t.Errorf("%d connections, runtime %d times, gauges %d times", connections.Load(), runtimes.Load(), gauges.Load())
	}
}

// An Envoy whose configuration takes long to read is asked again in time all the same.
func TestWaitOfASlowConfiguration(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	client, _ := answers{
		"/runtime": says(isOn),
		"/stats": func(w http.ResponseWriter) {
			fmt.Fprintf(w, "%s%d\n", gaugeOfA, map[bool]int{true: 1}[time.Since(begin) > 5*time.Second])
		},
		"/config_dump": func(w http.ResponseWriter) {
			time.Sleep(time.Second)
			says(configuration(t))(w)
		},
	}.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	s := Ask(ctx, client, "k", false).Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil)
	if s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// Somebody else may change a key while it is waited for the plugin, and also when that has just taken it up.
func TestWaitSeesAnotherHand(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"0", "1"} {
		var asked atomic.Int32
		client, _ := answers{
			"/runtime": func(w http.ResponseWriter) {
				if asked.Load() < 3 {
					fmt.Fprint(w, isOn)
					return
				}
				fmt.Fprint(w, strings.ReplaceAll(isOn, `"true"`, `""`))
			},
			"/stats": func(w http.ResponseWriter) {
				value := "0"
				if asked.Add(1) > 2 {
					value = last
				}
				fmt.Fprintln(w, gaugeOfA+value)
			},
			"/config_dump": says(configuration(t)),
		}.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s := Ask(ctx, client, "k", false).Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil)
		if !strings.HasPrefix(s.Error, `the key had arrived, and somebody has changed it since in its layer`) || s.on() {
			t.Errorf("the gauge is %s: %+v", last, s)
		}
	}
}

// The configuration may change while it is waited, also at its end.
func TestWaitSeesAnotherConfiguration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		old, text, gauge string
		on               bool
		want             string
	}{
		{"GATE", "true", "1", true, `its configuration is another one than at the begin: listener "l": no route enables`},
		{"GATE", "true", "0", true, `its configuration is another one than at the begin: listener "l": no route enables`},
		{"filters.http.wasm", "filters.http.lua", "1", true, "its configuration has no healthgate"},
		{"filters.http.wasm", "filters.http.lua", "0", false, "its configuration has no healthgate"},
		{`"keys": ["k", "z"]`, `"keys": ["z"]`, "0", true, "no endpoint has the key k"},
		{`"x.BootstrapConfigDump", `, `"x.BootstrapConfigDump", "last_updated": "2026", `, "0", true,
			"another Envoy answers here"},
		{"GATE", "false", "1", true, ""},
	} {
		var dumps atomic.Int32
		key, o := isOn, Order{Key: "k", Value: On, On: true}
		if !test.on {
			key, o = strings.ReplaceAll(isOn, `"true"`, `""`), Order{Key: "k"}
		}
		client, _ := answers{
			"/runtime": says(key), "/stats": says(gaugeOfA + test.gauge + "\n"),
			"/config_dump": func(w http.ResponseWriter) {
				if dumps.Add(1) == 1 {
					fmt.Fprint(w, configuration(t))
					return
				}
				fmt.Fprint(w, configuration(t, test.old, test.text))
			},
		}.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := Ask(ctx, client, "k", false).Wait(ctx, o, reach.Admin, nil)
		if !strings.Contains(s.Error, test.want) || test.want == "" && s.Error != "" {
			t.Errorf("%q: %s", test.want, s.Error)
		}
	}
}

// A check that was answered while it was waited, but before an update, proves nothing of what came by it.
func TestWaitSeesAnUpdate(t *testing.T) {
	t.Parallel()
	for last, want := range map[string]string{"T00:00:10Z": "", "T00:10:00Z": "its configuration is another one than at " +
		`the begin: not for sure: listener "l": whether `} {
		var dumps, checks atomic.Int32
		dump := func(at string) string {
			return configuration(t, `"x.BootstrapConfigDump"`, `"x.BootstrapConfigDump", "last_updated": "2026-11-30T00:00:00Z"`,
				`"static_listeners": [{`, `"dynamic_listeners": [{"active_state": {"last_updated": "2026-11-30`+at+`", `,
				`"filters": [`, `"filters": [{"name": "own", "typed_config": {"@type": "x.filters.network.own.v3.Own"}}, `,
				"TWIN", "}")
		}
		client, _ := answers{
			"/runtime": says(isOn), "/stats": func(w http.ResponseWriter) {
				fmt.Fprintf(w, "%s1\nlistener_manager.listener_modified: 0\n%sa.verdict.maintenance: %d\n", gaugeOfA, report.Checks,
					checks.Add(1))
			},
			"/config_dump": func(w http.ResponseWriter) {
				if dumps.Add(1) == 1 {
					fmt.Fprint(w, dump("T00:00:10Z"))
					return
				}
				fmt.Fprint(w, dump(last))
			},
		}.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := Ask(ctx, client, "k", false).Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil)
		if !strings.HasPrefix(s.Error, want) || want == "" && s.Error != "" {
			t.Errorf("updated at %s: %q", last, s.Error)
		}
	}
}

// A step that follows sees what an update changes, too.
func TestStaysClosedThroughAnUpdate(t *testing.T) {
	t.Parallel()
	with := func(edits ...string) string {
		return configuration(t, append(edits, `"name": "b"`, `"name": "b", "maintenance": {"keys": ["k"]}`)...)
	}
	for name, test := range map[string]struct{ then, want string }{
		"nothing": {with(), ""},
		"a filter in front": {with(`"http_filters": [`,
			`"http_filters": [{"name": "odd", "typed_config": {"@type": "x.Odd"}}, `),
			"its configuration is another one than at the begin: not for sure: "},
		"an endpoint without the key": {with(`"endpoints": [`,
			`"endpoints": [{"name": "c", "paths": ["/c"], "trusted": {"cidrs": ["10.0.0.0/8"]}}, `),
			`its configuration is another one than at the begin: the key k does not switch the endpoint "c"`},
	} {
		var dumps atomic.Int32
		client, _ := answers{
			"/runtime": says(isOn), "/stats": says(gaugeOfA + "1\n"), "/config_dump": func(w http.ResponseWriter) {
				if dumps.Add(1) == 1 {
					fmt.Fprint(w, with())
					return
				}
				fmt.Fprint(w, test.then)
			},
		}.start(t)
		e := Ask(t.Context(), client, "k", false)
		err := e.StaysClosed(t.Context(), Order{Key: "k", Value: On, On: true, Reason: "mine"}, reach.Admin)
		if said := fmt.Sprint(err); (err == nil) != (test.want == "") || !strings.HasPrefix(said, test.want) && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A wait that was too short is not the Envoy's fault.
func TestShortWait(t *testing.T) {
	t.Parallel()
	client, _ := answers{
		"/runtime": says(isOn), "/stats": says(gaugeOfA + "0\n"), "/config_dump": says(configuration(t)),
	}.start(t)
	e := Ask(t.Context(), client, "k", false)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	s := e.Wait(ctx, Order{Key: "k", Value: On, On: true}, reach.Admin, nil)
	const plugin = "runtime is right, and the plugin, which reads it every 1s, has not taken it up yet: a"
	if !strings.HasPrefix(s.Error, plugin) || !strings.HasSuffix(s.Error, ", give it more") {
		t.Error(s.Error)
	}
}

// A limit in runtime that lets no connection in is no healthy instance, whatever the key says.
func TestLimited(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	client := must.Get(admin.New(a.URL, admin.Access{}))(t)
	const limit = "envoy.resource_limits.listener.l.connection_limit"
	for value, want := range map[string]string{"0": "the runtime key " + limit +
		" is 0: it closes each connection", "9": ""} {
		must.Do(t, client.ModifyRuntime(t.Context(), limit, value))
		e := Ask(t.Context(), client, admintest.Key, false)
		if got := e.Wait(t.Context(), Order{Key: admintest.Key}, reach.Admin, nil).Error; !strings.HasSuffix(got, want) ||
			got != "" && want == "" {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// An Envoy that is restarted before the key was seen there has lost it, and nothing of the one before is waited for.
func TestRestartsAtOnce(t *testing.T) {
	t.Parallel()
	a, b := admintest.Start(t), admintest.Start(t)
	client := must.Get(admin.New(a.URL, admin.Access{}))(t)
	e, o := Ask(t.Context(), client, admintest.Key, false), Order{Key: admintest.Key, Value: On, On: true}
	a.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.RawQuery, "downstream_rq_active") {
			fmt.Fprintln(w, "http.l.downstream_rq_active: 1")
		} else {
			b.ServeHTTP(w, r)
		}
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, checks := e.WaitChecks(ctx, &lifecycle.Checks{Need: 1}, true)
	for _, got := range []string{fmt.Sprint(checks), fmt.Sprint(e.WaitIdle(ctx)), e.Wait(ctx, o, reach.Admin, nil).Error} {
		if got != admin.ErrAnother.Error() {
			t.Errorf("%q", got)
		}
	}
}

// A key that ends while its Envoy is asked is on no longer when that is told.
func TestEndsMeanwhile(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	until := end.UTC().Format(time.RFC3339)
	var dumps atomic.Int32
	client, _ := answers{
		"/runtime": says(strings.ReplaceAll(isOn, "true", until)), "/stats": says(gaugeOfA + "1\n"),
		"/config_dump": func(w http.ResponseWriter) {
			if dumps.Add(1) > 1 {
				<-time.After(time.Until(end))
			}
			fmt.Fprint(w, configuration(t))
		},
	}.start(t)
	s := Ask(t.Context(), client, "k", false).Wait(t.Context(), Order{Key: "k", Value: until, On: true}, reach.Admin, nil)
	if s.on() || !strings.HasPrefix(s.Error, "the time of the key is over") {
		t.Errorf("%+v", s)
	}
}

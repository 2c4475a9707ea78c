package hostsim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// The examples run the plugin of testdata/script, which does what its configuration
// says; pluginWasm stands for your own.
func pluginWasm() []byte { return script(panics{}) }

// panics stands for the test that an example lacks.
type panics struct{ testing.TB }

func (panics) Helper()           {}
func (panics) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func Example() {
	host, err := hostsim.New(pluginWasm(),
		hostsim.PluginConfig(`request_headers send_local_response 403 "denied" "go away" "" -1`),
		hostsim.Workers(2),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	reply := host.Worker(1).Do(&hostsim.Request{Path: "/secret", Peer: "192.0.2.7:4711"})
	fmt.Println(reply.Status, string(reply.Body), reply.Details, reply.Forwarded)
	// Output: 403 go away denied false
}

func ExampleHost_Advance() {
	host, err := hostsim.New(pluginWasm(),
		hostsim.PluginConfig("configure set_tick_period_milliseconds 1000\n"+
			`tick http_call "backend" ":path=/alive\n:method=GET\n:authority=b" "" "" 500`),
		hostsim.Upstream("backend", http.NotFoundHandler()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	host.Advance(3 * time.Second)
	// The main thread ticks as well as the worker.
	fmt.Println(len(host.UpstreamRequests("backend")), "probes")
	// Output: 6 probes
}

func ExampleHost_FaultCallouts() {
	host, err := hostsim.New(pluginWasm(),
		hostsim.PluginConfig(`request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 500`+"\n"+
			`http_call_response get_header_map_value 6 ":status"`),
		hostsim.Upstream("backend", http.NotFoundHandler()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	host.FaultCallouts("backend", hostsim.CalloutFault{Kind: hostsim.CalloutTimeout})
	host.Worker(0).Get("/")
	host.Advance(time.Second)
	logs := host.Logs()
	fmt.Println(logs[len(logs)-1])
	// Output: [03:04:05.500][worker 0][info] http_call_response get_header_map_value 6 ":status" = 0 "504"
}

func ExampleTrapAt() {
	host, err := hostsim.New(pluginWasm(), hostsim.FailReload, hostsim.TrapAt("proxy_on_request_headers", 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	fmt.Println(host.Worker(0).Get("/").Status)
	host.Advance(2 * time.Second) // the backoff
	fmt.Println(host.Worker(0).Get("/").Status)
	// Output:
	// 503
	// 200
}

func ExampleHost_Trace() {
	host, err := hostsim.New(pluginWasm())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	trace := host.Trace()
	host.Worker(0).Get("/")
	for _, e := range trace.Events() {
		if e.Depth == 0 {
			fmt.Println(e)
		}
	}
	// Output:
	// [worker 0] > proxy_on_context_create(2, 1)
	// [worker 0] < proxy_on_context_create
	// [worker 0] > proxy_on_request_headers(2, 6, 1)
	// [worker 0] < proxy_on_request_headers = 0
	// [worker 0] > proxy_on_response_headers(2, 5, 0)
	// [worker 0] < proxy_on_response_headers = 0
	// [worker 0] > proxy_on_response_body(2, 11, 0)
	// [worker 0] < proxy_on_response_body = 0
	// [worker 0] > proxy_on_response_body(2, 0, 1)
	// [worker 0] < proxy_on_response_body = 0
	// [worker 0] > proxy_on_log(2)
	// [worker 0] < proxy_on_log
	// [worker 0] > proxy_on_done(2)
	// [worker 0] < proxy_on_done = 1
	// [worker 0] > proxy_on_delete(2)
	// [worker 0] < proxy_on_delete
}

func ExamplePlugin() {
	host, err := hostsim.New(pluginWasm(),
		hostsim.PluginName("tagger"), hostsim.VMID("tagger"),
		hostsim.PluginConfig(`request_headers add_header_map_value 0 "x-user" "ada"`),
		hostsim.Plugin(pluginWasm(), hostsim.PluginName("guard"), hostsim.VMID("guard"), hostsim.FailOpen,
			hostsim.PluginConfig(`request_headers get_header_map_value 0 "x-user"`)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	host.Worker(0).Get("/")
	for _, e := range host.Logs() {
		fmt.Printf("%s: %s\n", e.Plugin, e.Message)
	}
	// Output:
	// tagger: request_headers add_header_map_value 0 "x-user" "ada" = 0
	// guard: request_headers get_header_map_value 0 "x-user" = 0 "ada"
}

func ExampleRoutes() {
	host, err := hostsim.New(pluginWasm(),
		hostsim.PluginConfig(`request_headers add_header_map_value 0 "x-shard" "2"`+"\n"+
			`request_headers call_foreign_function "clear_route_cache" ""`),
		hostsim.Routes(
			hostsim.Route{Name: "second", Header: hostsim.Header{{"x-shard", "2"}}, Cluster: "shard-2"},
			hostsim.Route{Name: "rest"}),
		hostsim.Upstream("shard-2", http.NotFoundHandler()),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	fmt.Println(host.Worker(0).Get("/").Status, len(host.UpstreamRequests("shard-2")))
	// Output: 404 1
}

func ExampleListeners() {
	for _, profile := range []hostsim.Profile{hostsim.Envoy140, hostsim.Envoy136} {
		host, err := hostsim.New(pluginWasm(), profile,
			hostsim.PluginConfig(`request_headers get_property "xds\x00listener_direction"`+"\ntrace"),
			hostsim.Listeners(hostsim.Listener{Direction: 1}, hostsim.Listener{Direction: 2}),
		)
		if err != nil {
			fmt.Println(err)
			return
		}
		roots := strings.Count(host.LogText(), "configure(") // in the canary, on the main thread, on the worker
		host.Worker(0).Do(&hostsim.Request{Listener: 1})
		fmt.Printf("%d root contexts, outbound: %t\n", roots, strings.Contains(host.LogText(), `= 0 "\x02\x00\x00`))
		host.Close()
	}
	// Output:
	// 3 root contexts, outbound: true
	// 6 root contexts, outbound: true
}

func ExampleHostFunction() {
	// Stands for the Redis of Higress: there is none.
	const internalFailure = 10
	_, err := hostsim.New(pluginWasm(),
		hostsim.HostFunction("env", "proxy_redis_call", func(c *hostsim.Caller, args ...uint32) uint32 {
			return internalFailure
		}))
	fmt.Println(err)
	// Output: <nil>
}

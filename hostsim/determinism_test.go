package hostsim_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// run is a whole run with everything in it, traced.
func run(t *testing.T, seed uint64) string {
	var out bytes.Buffer
	host, err := hostsim.New(script(t), hostsim.Seed(seed), hostsim.Workers(3), hostsim.TraceTo(&out), hostsim.LogTo(&out),
		hostsim.FailReload, hostsim.Upstream("backend", echo), hostsim.PluginConfig(`trace
			configure set_tick_period_milliseconds 100
			tick http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 500
			request_headers get_header_map_pairs 0`))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	host.FaultAllCallouts("backend", &hostsim.CalloutFault{Delay: 30 * time.Millisecond})
	host.Advance(time.Second)
	host.Worker(2).Crash()
	for i := range 3 {
		host.Worker(i).Get("/")
		host.Advance(777 * time.Millisecond)
	}
	return out.String()
}

func TestRepeatable(t *testing.T) {
	t.Parallel()
	a, b, c := run(t, 1), run(t, 1), run(t, 2)
	if a != b {
		t.Error("two runs with one seed differ")
	}
	if a == c {
		t.Error("two runs with two seeds do not")
	}
	if len(a) < 10000 {
		t.Errorf("only %d bytes", len(a))
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	host := newHost(t, `
		request_headers get_property "request\x00path"
		request_headers send_local_response 200 "d" "ok" "x=1" -1`)
	trace := host.Trace()
	host.Worker(0).Get("/")
	trace.Stop()
	host.Worker(0).Get("/")
	// The collector's calls, and the addresses, are the guest's own affair.
	var got []string
	for _, e := range trace.Events() {
		if !strings.Contains(e.Text, "poll_oneoff") && !strings.Contains(e.Text, "clock_time_get") {
			got = append(got, e.String())
		}
	}
	wantLines(t, strings.Join(trimAll(got), "\n"), `
		[worker 0] > proxy_on_context_create(2, 1)
		[worker 0] < proxy_on_context_create
		[worker 0] > proxy_on_request_headers(2, 6, 1)
		[worker 0] > proxy_on_memory_allocate(1)
		[worker 0] < proxy_on_memory_allocate = N
		[worker 0]   proxy_get_property("request\x00path") = Ok "/"
		[worker 0]   proxy_log(2, "request_headers get_property \"request\\x00path\" = 0 \"/\"") = Ok
		[worker 0]   proxy_send_local_response(200, "d", "ok", {x: "1"}, 4294967295) = Ok
		[worker 0]   proxy_log(2, "request_headers send_local_response 200 \"d\" \"ok\" \"x=1\" -1 = 0") = Ok
		[worker 0] < proxy_on_request_headers = 0
		[worker 0] > proxy_on_response_headers(2, 4, 0)
		[worker 0] < proxy_on_response_headers = 0
		[worker 0] > proxy_on_response_body(2, 2, 1)
		[worker 0] < proxy_on_response_body = 0
		[worker 0] > proxy_on_log(2)
		[worker 0] < proxy_on_log
		[worker 0] > proxy_on_done(2)
		[worker 0] < proxy_on_done = 1
		[worker 0] > proxy_on_delete(2)
		[worker 0] < proxy_on_delete`)
}

// trimAll takes away what depth and address make of a nested call.
func trimAll(lines []string) []string {
	for i, l := range lines {
		l = strings.ReplaceAll(l, "]     > proxy_on_memory", "] > proxy_on_memory")
		if at := strings.Index(l, "< proxy_on_memory_allocate = "); at >= 0 {
			l = "[worker 0] < proxy_on_memory_allocate = N"
		}
		lines[i] = l
	}
	return lines
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	const calls = `
		tick http_call "envoy_admin" ":path=/runtime?format=json\n:method=GET\n:authority=a" "" "" 500
		tick http_call "envoy_admin" ":path=/ready\n:method=GET\n:authority=a" "" "" 500
		configure set_tick_period_milliseconds 1000
		http_call_response get_buffer_bytes 4 0 1000`
	host := newHost(t, calls, hostsim.Admin("envoy_admin"), hostsim.Workers(0))
	host.Admin().SetRuntime("hc.maintenance", "true")
	host.Advance(time.Second)
	host.Admin().SetRuntime("hc.maintenance", "")
	host.Admin().SetDraining(true)
	host.Advance(time.Second)
	host.Admin().SetHandler(http.NotFoundHandler())
	host.Advance(time.Second)
	var got []string
	for _, e := range host.Logs() {
		if e.Thread == "main" && strings.HasPrefix(e.Message, "http_call_response") {
			got = append(got, e.Message)
		}
	}
	wantLines(t, strings.Join(got, "\n"), `
		http_call_response get_buffer_bytes 4 0 1000 = 0 "{\n \"layers\": [\n  \"admin\"\n ],\n \"entries\": {\n  \"hc.maintenance\": {\n   \"final_value\": \"true\",\n   \"layer_values\": [\n    \"true\"\n   ]\n  }\n }\n}"
		http_call_response get_buffer_bytes 4 0 1000 = 0 "LIVE\n"
		http_call_response get_buffer_bytes 4 0 1000 = 0 "{\n \"layers\": [\n  \"admin\"\n ],\n \"entries\": {}\n}"
		http_call_response get_buffer_bytes 4 0 1000 = 0 "DRAINING\n"
		http_call_response get_buffer_bytes 4 0 1000 = 0 "404 page not found\n"
		http_call_response get_buffer_bytes 4 0 1000 = 0 "404 page not found\n"`)
}

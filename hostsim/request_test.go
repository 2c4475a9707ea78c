package hostsim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// TestMisuse: a test that asks for what there can't be is told so.
func TestMisuse(t *testing.T) {
	t.Parallel()
	host := newHost(t, "", hostsim.Workers(2))
	closed := newHost(t, "")
	closed.Close()
	for want, misuse := range map[string]func(){
		"Worker(2) of 2":                         func() { host.Worker(2) },
		"Worker(-1) of 2":                        func() { host.Worker(-1) },
		`Request.Peer "10.0.0.1" is no address`:  func() { host.Worker(0).Do(&hostsim.Request{Peer: "10.0.0.1"}) },
		`Request.Peer "localhost:1" is no addre`: func() { host.Worker(0).Start(&hostsim.Request{Peer: "localhost:1"}) },
		"a request after Close":                  func() { closed.Worker(0).Get("/") },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Error(got)
				}
			}()
			misuse()
		})
	}
	if r := host.Worker(0).Do(&hostsim.Request{Peer: "[2001:db8::1]:1"}); r.Status != 200 {
		t.Error("the host is of no use afterwards:", r)
	}
}

func ExampleReply() {
	host, err := hostsim.New(pluginWasm(), hostsim.PluginConfig("request_body get_buffer_bytes 0 0 9"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	fmt.Println(host.Worker(0).Do(&hostsim.Request{Body: []byte("12345"), ChunkSize: 2}))
	for _, e := range host.Logs() {
		fmt.Println(e.Message)
	}
	// Output:
	// 200 via_upstream -, forwarded
	// content-type: text/plain
	// date: Wed, 02 Jan 2030 03:04:05 GMT
	// content-length: 11
	// x-envoy-upstream-service-time: 0
	// server: envoy
	//
	// application
	// request_body get_buffer_bytes 0 0 9 = 0 "12"
	// request_body get_buffer_bytes 0 0 9 = 0 "34"
	// request_body get_buffer_bytes 0 0 9 = 0 "5"
	// request_body get_buffer_bytes 0 0 9 = 0 "" null
}

func TestRouteToNowhere(t *testing.T) {
	_, err := hostsim.New(pluginWasm(), hostsim.Routes(hostsim.Route{Name: "a", Cluster: "nowhere"}))
	if err == nil || !strings.Contains(err.Error(), `the route "a" leads to "nowhere"`) {
		t.Error(err)
	}
}

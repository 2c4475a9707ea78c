package demo

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy"
	"github.com/healthgate/healthgate/envoy/must"
)

func TestNoOptionsLeaveTheFileAsItIs(t *testing.T) {
	got := must.Get(bootstrap(options{}))(t)
	if got != envoy.Bootstrap {
		t.Error("the file was changed")
	}
}

func TestOptionsArePutIn(t *testing.T) {
	// Ports that trade places show that no replacement is replaced again.
	got := must.Get(bootstrap(options{Port: 7070, AdminPort: 10000, AppPort: 9901, Wasm: "/a b/c.wasm",
		RuntimeRoot: "/run/x"}))(t)
	for line, want := range map[string]int{
		"port_value: 7070":           strings.Count(envoy.Bootstrap, "port_value: 10000"),
		"port_value: 10000":          strings.Count(envoy.Bootstrap, "port_value: 9901"),
		"port_value: 9901":           strings.Count(envoy.Bootstrap, "port_value: 7070"),
		`filename: "/a b/c.wasm"`:    1,
		`symlink_root: "/run/x"`:     1,
		"symlink_root: build/":       0,
		"filename: build/healthgate": 0,
	} {
		if n := strings.Count(got, line); n != want {
			t.Errorf("%q is there %d times, want %d", line, n, want)
		}
	}
}

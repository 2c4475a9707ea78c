package order

import (
	"net"
	"strings"
	"testing"
)

// An instance is not begun to be shut down where that can't come about.
func TestStays(t *testing.T) {
	t.Parallel()
	const both = `"admin": {"cluster": "adm"`
	for _, test := range []struct {
		name, old, text, key, open, want string
	}{
		{"all is well", "", "", "", "", ""},
		{"draining is ignored", both, both + `, "draining": "ignore"`, "", "", `"a" does not see that Envoy drains`},
		{"a key of one", "", "", "k", "", `the key k does not switch the endpoint "b"`},
		{"a key of both", `"name": "b"`, `"name": "b", "maintenance": {"keys": ["k"]}`, "k", "", ""},
		{"one is to stay open", "", "", "k", "b", ""},
		{"another is to stay open", "", "", "k", "a", `the key k does not switch the endpoint "b"`},
		{"none has the name", `"name": "b"`, `"name": "b", "maintenance": {"keys": ["k"]}`, "k", "c",
			`it has no health check "c" to keep open`},
		{"no metrics", `{"layered_runtime"`,
			`{"stats_config": {"stats_matcher": {"reject_all": true}}, "layered_runtime"`, "", "",
			"its stats_matcher leaves out the plugin's metrics"},
		{"no plugin", "filters.http.wasm", "filters.http.lua", "", "", "its configuration has no health check of healthgate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var edits []string
			if test.old != "" {
				edits = []string{test.old, test.text}
			}
			e := &Envoy{known: read(t, edits...), key: test.key}
			if got := e.Stays(test.key != "", test.open); !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	e := &Envoy{unknown: net.ErrClosed}
	if got := e.Stays(false, ""); got != "its configuration can't be read: use of closed network connection" {
		t.Errorf("not known: %q", got)
	}
	e = &Envoy{known: read(t), unseen: net.ErrClosed}
	if got := e.Stays(false, ""); got != "what the plugin does would not be known: use of closed network connection" {
		t.Errorf("no metrics: %q", got)
	}
}

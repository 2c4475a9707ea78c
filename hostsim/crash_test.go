package hostsim_test

import (
	"strings"
	"testing"
	"time"
)

// TestCrash is what ends Envoy's process. e2e/conformance has the same calls on Envoy.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, why string }{
		{`log send_local_response 403 "" "" "" -1`, "proxy_send_local_response in proxy_on_log"},
		{`log close_stream 0`, "proxy_close_stream in proxy_on_log"},
		{`done close_stream 1`, "proxy_close_stream in proxy_on_done or proxy_on_delete"},
		{`delete send_local_response 403 "" "" "" -1`, "proxy_send_local_response in proxy_on_done or proxy_on_delete"},
		{`log continue_stream 0`, ""},
		{`log close_stream 2`, ""},
		{`done continue_stream 1`, ""},
	} {
		t.Run(c.script, func(t *testing.T) {
			t.Parallel()
			host := newHost(t, "configure set_tick_period_milliseconds 1000\ntick log 2 ticking\n"+c.script)
			if r := host.Worker(0).Get("/"); r.Status != 200 {
				t.Errorf("%+v", r)
			}
			if got := host.Crashed(); got != c.why {
				t.Errorf("crashed of %q, want %q", got, c.why)
			}
			gone := c.why != ""
			if r := host.Worker(0).Get("/"); r.Reset != gone {
				t.Errorf("the next request: %+v", r)
			}
			host.Advance(time.Second)
			if ticked := strings.Contains(host.LogText(), "ticking"); ticked == gone {
				t.Errorf("ticked is %v:\n%s", ticked, host.LogText())
			}
		})
	}
}

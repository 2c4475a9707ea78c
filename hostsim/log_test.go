package hostsim_test

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// TestPanicIsReadable: Go writes a panic in pieces, and Envoy logs each piece as a line.
func TestPanicIsReadable(t *testing.T) {
	t.Parallel()
	host := newHost(t, "request_headers trap")
	host.Worker(0).Get("/")
	_, err := hostsim.New(script(t), hostsim.PluginConfig("configure trap"))
	if err == nil {
		t.Fatal("it started")
	}
	for what, text := range map[string]string{"log": hostsim.LogDump(host.Logs()), "error": err.Error()} {
		_, dump, found := strings.Cut(text, "][error] panic: as the script says\n")
		if !found || !strings.Contains(dump, "goroutine 1 [running]:\n") || strings.Count(dump, "][error]") != 0 ||
			!strings.Contains(dump, "][critical] Function: proxy_on_") {
			t.Errorf("%s: %s", what, text)
		}
	}
}

// TestLogKnowsItsCallback ties each line of the log to the callback and the context in which it was written.
func TestLogKnowsItsCallback(t *testing.T) {
	t.Parallel()
	host := newHost(t, "request_headers say asked\nconfigure say configured")
	host.Worker(0).Get("/")
	var got []string
	for _, e := range host.Logs() {
		if e.Thread == "worker 0" {
			got = append(got, e.Message+" "+e.Callback+" "+string(rune('0'+e.Context)))
		}
	}
	want := "configured proxy_on_configure 1, asked proxy_on_request_headers 2"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestTraceCounts what a request costs in calls.
func TestTraceCounts(t *testing.T) {
	t.Parallel()
	host := newHost(t, "request_headers get_property \"request\\x00path\"\nrequest_headers get_property \"nothing\"")
	trace := host.Trace()
	host.Worker(0).Get("/")
	for function, want := range map[string]int{"proxy_get_property": 2, "proxy_on_memory_allocate": 1,
		"proxy_on_request_headers": 1, "proxy_log": 2, "proxy_on_tick": 0} {
		if got := trace.Calls()[function]; got != want {
			t.Errorf("%s: %d, not %d", function, got, want)
		}
	}
}

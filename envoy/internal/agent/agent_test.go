package agent

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
)

// What HAProxy reads for each verdict. Only what is known for sure is up.
func TestLine(t *testing.T) {
	t.Parallel()
	key := &report.Maintenance{Key: "k", Value: "true"}
	for _, test := range []struct {
		endpoint string // that is chosen
		report   report.Report
		want     string
	}{
		{"", one("healthy"), "up ready"},
		{"shop", one("passed"), "up ready"},
		{"", one("degraded"), "up ready"},
		{"", report.Report{Endpoints: []report.Endpoint{{Name: "shop", Verdict: "maintenance", Maintenance: key}}}, "maint"},
		{"", one("draining"), "drain"},
		{"", one("unhealthy"), "ready down #unhealthy: why"},
		{"", one("unknown"), "ready down #unknown: why"},
		{"", one("failing"), "ready down #failing: why"},
		{"", one("something new"), "ready down #something new: why"},
		{"", one(""), "ready down #not known: why"},
		{"", report.Report{Endpoints: []report.Endpoint{{Name: "shop", Verdict: "healthy", Unsure: []string{"by route"}}}},
			"ready down #not known for sure: by route"},
		{"", report.Report{Error: "a\r\nb\x00 ü"}, "ready down #a??b? ?"},
		{"", report.Report{Error: strings.Repeat("x", 300)}, "ready down #" + strings.Repeat("x", 200)},
		{"", report.Report{}, "ready down #there is no health check"},
		{"pay", one("healthy"), `ready down #there is no health check "pay", there is: shop`},
		{"", report.Report{Endpoints: append(one("healthy").Endpoints, report.Endpoint{Name: "pay", Verdict: "healthy"})},
			"ready down #there are several health checks, choose with --endpoint: shop, pay"},
		{"shop", report.Report{Endpoints: append(one("healthy").Endpoints, report.Endpoint{Name: "pay"})}, "up ready"},
	} {
		if got := Of(&test.report, test.endpoint, time.Now()).Line(); got != test.want+"\n" {
			t.Errorf("%q of %+v: %q, want %q", test.endpoint, test.report, got, test.want)
		}
	}
}

func one(verdict string) report.Report {
	return report.Report{Endpoints: []report.Endpoint{{Name: "shop", Verdict: verdict, Output: "why"}}}
}

// A state holds to its end, and no longer.
func TestKnown(t *testing.T) {
	t.Parallel()
	var k Known
	now := time.Now()
	if got := k.At(now).Line(); got != "ready down #Envoy was not asked yet\n" {
		t.Errorf("at first: %q", got)
	}
	k.Put(State{Word: Up}, now)
	const old = "ready down #what is known is too old\n"
	for after, want := range map[time.Duration]string{-1: "up ready\n", 0: "up ready\n", 1: old} {
		if got := k.At(now.Add(after)).Line(); got != want {
			t.Errorf("%d ns after its end: %q, want %q", after, got, want)
		}
	}
}

// Who sends something, as HAProxy does with agent-send, gets the whole line, and an end of the connection.
func TestTell(t *testing.T) {
	t.Parallel()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	go Accept(listener, func(conn net.Conn) { Tell(conn, "maint\n") })
	conn := must.Get(net.Dial("tcp", listener.Addr().String()))(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, "backend app\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "maint\n" {
		t.Errorf("%q, %v", got, err)
	}
}

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

// statusOf serves a status endpoint of one health check with a verdict, which may be to say nothing, or to refuse.
func statusOf(t *testing.T, verdict *atomic.Value) (url string) {
	status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch v := verdict.Load(); v {
		case "silent":
			<-r.Context().Done()
		case "refused":
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "application/health+json")
			fmt.Fprintf(w, `{"description": "health checks answered by healthgate", "checks": {"shop:verdict": [
				{"componentId": "shop", "status": "pass", "observedValue": %q}]}}`, v)
		}
	}))
	t.Cleanup(status.Close)
	return status.URL + "/status"
}

// The ports follow the status endpoint, each change is one line, and Ctrl-C closes the ports.
func TestAgent(t *testing.T) {
	t.Parallel()
	var verdict atomic.Value
	verdict.Store("healthy")
	status := statusOf(t, &verdict)
	tcpPort := strconv.Itoa(must.Port(t))
	tcp, agentCheck := "127.0.0.1:"+tcpPort, "127.0.0.1:"+strconv.Itoa(must.Port(t))
	free := must.Get(net.Listen("tcp", tcp))(t)
	other := must.Get(net.Listen("tcp", agentCheck))(t)
	_, said, code := call(t, "agent", "--status-url", status, "--agent-check", agentCheck)
	if code != 1 || !strings.Contains(said, "--agent-check: ") || !strings.Contains(said, "in use") {
		t.Errorf("at an address that is taken: exit code %d, %s", code, said)
	}
	must.Do(t, other.Close())

	ctx, interrupt := context.WithCancel(t.Context())
	out, ended := &bytes.Buffer{}, make(chan int, 1)
	go func() {
		ended <- run(ctx, out, t.Output(), "agent", "--status-url", status, "--tcp", ":"+tcpPort,
			"--agent-check", agentCheck, "--interval", "100ms", "--max-age", "1s")
	}()
	open := func() bool {
		conn, err := net.Dial("tcp", tcp)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second)) // the test's own listener accepts nothing
		_, err = conn.Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	line := func() string {
		conn, err := net.Dial("tcp", agentCheck)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		text, _ := io.ReadAll(conn)
		return string(text)
	}
	become := func(v, want string, isOpen bool) {
		t.Helper()
		verdict.Store(v)
		limit := time.Now().Add(time.Minute)
		for !strings.HasPrefix(line(), want) || open() != isOpen {
			if time.Now().After(limit) {
				t.Fatalf("%s: %q, open: %v", v, line(), open())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	become("healthy", "up ready\n", false) // this test listens on the port of --tcp
	must.Do(t, free.Close())
	become("healthy", "up ready\n", true)
	become("maintenance", "maint\n", false)
	become("draining", "drain\n", false)
	become("unknown", "ready down #unknown", false)
	become("passed", "up ready\n", true)
	become("silent", "ready down #", false)
	become("healthy", "up ready\n", true)
	become("refused", "ready down #", false)
	become("healthy", "up ready\n", true)
	interrupt()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, address := range []string{tcp, agentCheck} {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Errorf("%s is still open", address)
		}
	}
	words := regexp.MustCompile(`(?m)^\S+Z (up, but the port is closed|\w+)(.*)`).FindAllStringSubmatch(out.String(), -1)
	var got []string
	last := ""
	for _, w := range words {
		if got = append(got, w[1]); w[1]+w[2] == last {
			t.Errorf("twice the same: %s", last)
		}
		last = w[1] + w[2]
	}
	const want = "down; up, but the port is closed; up; maint; drain; down; up; down; up; down; up"
	if strings.Count(out.String(), "\n") != len(got) || strings.Join(slices.Compact(got), "; ") != want {
		t.Errorf("%s\nwant %s", out, want)
	}
}

// Why it is so is told also where it was so before: why nothing is known, and a new reason of maintenance. How much of
// its time is left is no news.
func TestAgentTellsWhy(t *testing.T) {
	t.Parallel()
	asked, until := 0, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reason := "disk A"
		if asked++; asked > 15 { // more than a second later
			reason = "disk B"
		}
		w.Header().Set("Content-Type", "application/health+json")
		fmt.Fprintf(w, `{"description": "health checks answered by healthgate", "checks": {"shop:verdict": [
			{"componentId": "shop", "observedValue": "maintenance", "maintenance":
				{"key": "k", "value": %q, "until": %[1]q, "reason": %q}}]}}`, until, reason)
	}))
	t.Cleanup(status.Close)
	for _, test := range [][]string{
		{"shop", " down: Envoy was not asked yet", ": disk A", ": disk B"},
		{"shpo", " down: Envoy was not asked yet", ` down: there is no health check "shpo", there is: shop`},
	} {
		ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
		said, out := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			defer out.Close()
			ended <- run(ctx, out, t.Output(), "agent", "--status-url", status.URL+"/status", "--endpoint", test[0],
				"--tcp", "127.0.0.1:"+strconv.Itoa(must.Port(t)), "--interval", "100ms", "--max-age", "1m")
		}()
		lines := bufio.NewScanner(said)
		for _, want := range test[1:] {
			if !lines.Scan() || !strings.HasSuffix(lines.Text(), want) {
				t.Errorf("%q, want %q", lines.Text(), want)
			}
		}
		interrupt()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

// A port is not held open by output that nobody takes, as of a terminal after Ctrl-S.
func TestAgentUnread(t *testing.T) {
	t.Parallel()
	var verdict atomic.Value
	verdict.Store("healthy")
	status := statusOf(t, &verdict)
	free := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := free.Addr().String()
	must.Do(t, free.Close())
	_, said, code := call(t, "agent", "--status-url", status, "--tcp", address, "--agent-check", address)
	if code != 2 || !strings.Contains(said, "--tcp, --agent-check: both are "+address) {
		t.Errorf("exit code %d, %s", code, said)
	}

	reader, writer := io.Pipe()
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, writer, t.Output(), "agent", "--status-url", status, "--tcp", address,
			"--interval", "100ms", "--max-age", "1s")
	}()
	for lines := bufio.NewScanner(reader); lines.Scan() && !strings.HasSuffix(lines.Text(), " up"); {
	}
	verdict.Store("refused")
	limit := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(limit) {
			t.Fatal("the port is open")
		}
		time.Sleep(10 * time.Millisecond)
	}
	interrupt()
	_ = reader.Close()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

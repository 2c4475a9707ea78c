package e2e

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// crashFollower crashes the VM of a worker that does not lead.
func (b *bench) crashFollower(t testing.TB) {
	t.Helper()
	b.envoy.Post("/logging?conn_handler=debug")
	envoytest.Eventually(t, envoytest.Limit, "a connection to a worker that does not lead", func() error {
		conn, err := b.balancer.dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		opened := "new connection from " + conn.LocalAddr().String()
		envoytest.Eventually(t, envoytest.Limit, opened, func() error { return b.envoy.Log.Has(opened) })
		if thread(t, b, opened) == thread(t, b, "healthgate: leader: ") {
			return fmt.Errorf("that worker leads")
		}
		a, err := exchange(conn, "GET", requestText("GET", check, "", crash))
		if err != nil {
			return err
		}
		a.is(t, 503, "")
		return nil
	})
}

var threadField = regexp.MustCompile(`^\[[^]]*\]\[(\d+)\]`)

// thread returns the thread that logged the last line with a text.
func thread(t testing.TB, b *bench, text string) string {
	t.Helper()
	lines := b.envoy.Log.Lines(text)
	if len(lines) == 0 {
		t.Fatalf("nothing logged with %q", text)
	}
	line := lines[len(lines)-1]
	field := threadField.FindStringSubmatch(line)
	if field == nil {
		t.Fatalf("no thread in %q", line)
	}
	return field[1]
}

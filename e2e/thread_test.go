package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// crashFollower crashes the VM of a worker that does not lead.
func (b *bench) crashFollower(t testing.TB) {
	t.Helper()
	b.envoy.Post("/logging?conn_handler=debug")
	envoytest.Eventually(t, envoytest.Limit, "a connection to a worker that does not lead", func() error {
		earlier := len(b.envoy.Log.Lines(connected)) // one of them may have had the same port
		conn, err := b.balancer.dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		var opened string
		envoytest.Eventually(t, envoytest.Limit, "the connection is logged", func() error {
			for _, line := range b.envoy.Log.Lines(connected)[earlier:] {
				if strings.HasSuffix(line, connected+conn.LocalAddr().String()) {
					opened = line
					return nil
				}
			}
			return fmt.Errorf("no connection from %v", conn.LocalAddr())
		})
		leaders := b.envoy.Log.Lines("healthgate: leader: ")
		if thread(t, opened) == thread(t, leaders[len(leaders)-1]) {
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

var timeField = regexp.MustCompile(`^\[([^]]*)\]`)

// loggedAt returns the end of the millisecond in which a line was logged.
func loggedAt(t testing.TB, line string) time.Time {
	t.Helper()
	if field := timeField.FindStringSubmatch(line); field != nil {
		if at, err := time.ParseInLocation("2006-01-02 15:04:05.000", field[1], time.Local); err == nil {
			return at.Add(time.Millisecond)
		}
	}
	t.Fatalf("no time in %q", line)
	return time.Time{}
}

// connected is what Envoy logs, before the address, of each new connection.
const connected = "new connection from "

// thread returns the thread that logged a line.
func thread(t testing.TB, line string) string {
	t.Helper()
	field := threadField.FindStringSubmatch(line)
	if field == nil {
		t.Fatalf("no thread in %q", line)
	}
	return field[1]
}

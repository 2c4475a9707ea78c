package operator

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// edited writes a healthgate.yaml that differs from the shipped one.
func edited(t testing.TB, old, text string) string {
	t.Helper()
	return replaced(t, filepath.Join(envoytest.Root, shipped), old, text)
}

// TestEnvoyTakesWhatIsRendered validates every kind of configuration with Envoy itself.
func TestEnvoyTakesWhatIsRendered(t *testing.T) {
	t.Parallel()
	rtdsFile := filepath.Join(t.TempDir(), "rtds.json")
	run(t, "maintenance", "on", "--rtds-file", rtdsFile).is(t, 0)
	oddPaths := edited(t, "paths: [/healthz]", `paths: [/~, "/a'b\"c", '/x{y}&*[z]', "/-:", '/%20!$;=@', "/<>|^"]`)
	for _, test := range []struct {
		name, file string
		flags      []string
	}{
		{"RTDS file, made by the command", shipped, []string{"--rtds-file", rtdsFile}},
		{"RTDS server, IPv6, host names, no disk", edited(t, "envoy_admin", `"my admin: '1'"`),
			[]string{"--rtds-server", "rtds.example:18000", "--listen", "[::1]:10000", "--cluster", "other=app.example:80", "--runtime-dir", ""}},
		{"Unix sockets, peers, several routes", edited(t, "trusted: {", "trusted: {peer: {filter_state: \"a peer's: key\"}, "),
			[]string{"--admin", "unix:///tmp/an admin.sock", "--cluster", "other=unix:///tmp/app.sock", "--route-key", "route of {endpoint}"}},
		{"odd paths, gate by route", oddPaths, nil},
		{"odd paths, gate by matcher", oddPaths, []string{"--gate", "matcher"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := render(t, test.file, test.flags...)
			cmd := exec.Command(envoytest.Binary(t), "-c", i.config, "--mode", "validate", "--disable-hot-restart", "--concurrency", "1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestPeerOfTheConnection: with {filter_state: KEY} the rendered listener stores the connection's address, so a check
// with X-Forwarded-For is answered, and one that forges a trusted address is not.
func TestPeerOfTheConnection(t *testing.T) {
	t.Parallel()
	i := startFile(t, edited(t, "trusted: {", "trusted: {peer: {filter_state: healthgate.peer}, "))
	for _, test := range []struct {
		source, forwarded string
		status            int
		body              string
	}{
		{"127.0.0.1", "203.0.113.9", 200, "OK"},
		{"127.0.0.2", "127.0.0.1", 200, "app " + check}, // untrusted: on to the application
	} {
		connection, err := envoytest.DialerFrom(test.source, envoytest.Limit).Dial("tcp", i.listen)
		if err != nil {
			t.Fatal(err)
		}
		if err := connection.SetDeadline(time.Now().Add(envoytest.Limit)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: %s\r\n\r\n", check, test.forwarded)
		r, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != test.status || string(body) != test.body {
			t.Errorf("from %s, X-Forwarded-For %s: %d %q, want %d %q", test.source, test.forwarded, r.StatusCode, body, test.status, test.body)
		}
		connection.Close()
	}
}

package lb

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// haproxy is a running HAProxy with the configuration that operators copy, envoy/haproxy.cfg.
type haproxy struct {
	port   int
	socket string
	log    *envoytest.Log
}

// binary returns a HAProxy.
func binary(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal("HAProxy is missing; install it (Debian, Ubuntu: apt-get install haproxy)")
	}
	return exec.Command(path, arguments...)
}

// shipped returns a HAProxy with the shipped file.
func shipped(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	return binary(t, append(arguments, "-f", filepath.Join(envoytest.Root, "envoy", "haproxy.cfg"))...)
}

// newHAProxy reserves what a HAProxy needs.
func newHAProxy(t *testing.T) *haproxy {
	t.Helper()
	// A socket's path must be short, and t.TempDir's need not be.
	dir := must.Get(os.MkdirTemp("", "hg-lb-"))(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &haproxy{port: must.Port(t), socket: filepath.Join(dir, "haproxy.sock")}
}

// The file is valid as it is shipped, without a variable in the environment.
func TestShippedFileIsValid(t *testing.T) {
	t.Parallel()
	if out, err := shipped(t, "-c").CombinedOutput(); err != nil || strings.Contains(string(out), "[WARNING]") {
		t.Errorf("%v\n%s", err, out)
	}
}

func startHAProxy(t *testing.T, envoys ...*node) *haproxy {
	t.Helper()
	h := newHAProxy(t)
	cmd := shipped(t, "-db")
	cmd.Env = append(os.Environ(),
		"STATS_SOCKET="+h.socket, "USERS="+envoytest.Loopback(h.port),
		"ENVOY1="+envoys[0].address, "ENVOY2="+envoys[1].address,
		"CHECK_INTERVAL=250ms",                     // the test need not be patient,
		"CHECK_TIMEOUT=20s", "CONNECT_TIMEOUT=20s", // and a machine that stops for seconds is no failed check
	)
	_, h.log = envoytest.Program(t, cmd)
	return h
}

// server is what HAProxy says of one of its servers (HAProxy's management guide, 9.1).
type server struct {
	status   string // "UP" or "DOWN"
	sessions string // how many requests HAProxy has given it that are not over ("scur")
}

// servers returns what HAProxy says of each server.
func (h *haproxy) servers() (map[string]server, error) {
	text, err := h.say("show stat")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	out := map[string]server{}
	for _, row := range rows[1:] {
		if row[0] == "app" && row[column["svname"]] != "BACKEND" {
			out[row[column["svname"]]] = server{row[column["status"]], row[column["scur"]]}
		}
	}
	return out, nil
}

// say gives a command at HAProxy's socket.
func (h *haproxy) say(command string) (string, error) {
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(envoytest.Limit)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}

// waits until HAProxy thinks so of its servers, in the order of the configuration, and says how long that took.
func (h *haproxy) waits(t *testing.T, first, second string) {
	t.Helper()
	want := map[string]string{"envoy1": first, "envoy2": second}
	took := envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("HAProxy says %v", want), func() error {
		got, err := h.servers()
		if err == nil && (got["envoy1"].status != first || got["envoy2"].status != second) {
			err = fmt.Errorf("HAProxy says %v", got)
		}
		return err
	})
	t.Logf("HAProxy says %v after %v", want, took.Round(time.Millisecond))
}

// runs waits until so many requests run on a server, those included that are on their way to it.
func (h *haproxy) runs(t *testing.T, name string, requests int) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("%d requests run on %s", requests, name), func() error {
		got, err := h.servers()
		if err == nil && got[name].sessions != strconv.Itoa(requests) {
			err = fmt.Errorf("HAProxy says %v", got)
		}
		return err
	})
}

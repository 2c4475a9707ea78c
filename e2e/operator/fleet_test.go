package operator

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// supervised runs an Envoy again whenever it has ended, as systemd or a kubelet does.
const supervised = `trap 'kill $pid; wait $pid; exit 0' TERM
while :; do "$@" & pid=$!; wait $pid; done`

// TestFleet takes a fleet out and back, goes through it by turns, and starts it again by turns.
func TestFleet(t *testing.T) {
	t.Parallel()
	const size = 8
	var fleet []*instance
	text := ""
	for range size {
		admin := envoytest.Loopback(must.Port(t))
		i := render(t, shipped, "--admin", admin)
		i.admin = admin
		envoytest.Program(t, exec.Command("sh", "-c", supervised, "sh", envoytest.Binary(t), "-c", i.config,
			"--disable-hot-restart", "--concurrency", "1", "--drain-time-s", "1", "--log-level", "warning"))
		i.eventually(t, 200, "OK") // one after the other: all at once would compile for longer than a test waits
		fleet = append(fleet, i)
		text += admin + "\n"
	}
	file := filepath.Join(t.TempDir(), "fleet.txt")
	must.Write(t, file, text)
	all := func(status int, body string) {
		for _, i := range fleet {
			i.is(t, status, body)
		}
	}
	run(t, "maintenance", "on", "--admins-file", file, "--wait", "1m").is(t, 0, "\n8 on\n")
	all(503, sorry)
	run(t, "maintenance", "on", "--admins-file", file, "--wait", "1m").is(t, 0, "\n8 on (8 already)\n")
	run(t, "status", "--admins-file", file).is(t, 0, "8 Envoys: 8 in maintenance or draining")
	run(t, "maintenance", "off", "--admins-file", file, "--wait", "1m").is(t, 0, "\n8 off\n")
	all(200, "OK")

	// By turns, checks themselves see how many are out. A look that took long may have seen two turns.
	most, looks := 0, 0
	stop := envoytest.Repeat(t, 20*time.Millisecond, func() {
		start, out := time.Now(), 0
		for _, i := range fleet {
			if status, _, err := i.get(); err != nil || status != 200 {
				out++
			}
		}
		if time.Since(start) < 100*time.Millisecond {
			most, looks = max(most, out), looks+1
		}
	})
	run(t, "maintenance", "on", "--for", "6s", "--admins-file", file, "--max-unavailable", "25%", "--wait", "1m").
		is(t, 0, "\n8 back\n", fleet[7].admin+": back: ")
	run(t, "shutdown", "--quit", "--quiet", "1s", "--admin", fleet[0].admin, "--admin", fleet[1].admin,
		"--max-unavailable", "1", "--timeout", "2m").is(t, 0, fleet[1].admin+": gone: ", "\n2 back\n")
	stop()
	if most < 1 || most > 2 || looks < 20 {
		t.Errorf("at most %d are out at once, in %d looks", most, looks)
	}
	all(200, "OK")
	run(t, "shutdown", "--admins-file", file, "--max-unavailable", "7").
		is(t, 1, fmt.Sprintf("%d left as they were: of %d Envoys no more than 7 may be out", size, size))
	if out := run(t, "maintenance", "status", "--admins-file", file); strings.Count(out.stdout, "off") < size {
		t.Errorf("%s", out.stdout)
	}
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/must"
)

// newFleet starts so many admins, and writes a file with their addresses.
func newFleet(t testing.TB, n int) (admins []*admintest.Admin, file string) {
	t.Helper()
	text := "# the shop\n\n"
	for i := range n {
		a := admintest.Start(t)
		admins = append(admins, a)
		text += fmt.Sprintf("%s  # number %d\r\n", strings.TrimPrefix(a.URL, "http://"), i)
	}
	file = filepath.Join(t.TempDir(), "fleet.txt")
	must.Write(t, file, text)
	return admins, file
}

// says fails the test unless the command exits so and writes all of this.
func says(t *testing.T, code int, command string, texts ...string) string {
	t.Helper()
	stdout, stderr, got := call(t, strings.Fields(command)...)
	for _, text := range texts {
		if !strings.Contains(stdout+stderr, text) {
			t.Errorf("healthgate %s does not say %q", command, text)
		}
	}
	if got != code || t.Failed() {
		t.Fatalf("healthgate %s: exit code %d, want %d\n%s%s", command, got, code, stdout, stderr)
	}
	return stdout
}

// BenchmarkFleet is what admin calls to many cost, beside the time that a plugin takes: these Envoys answer at once.
func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, file := newFleet(b, n)
			for b.Loop() {
				for _, how := range []string{"on", "off"} {
					if _, stderr, code := call(b, "maintenance", how, "--admins-file", file); code != 0 {
						b.Fatal(stderr)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(2*n*b.N), "µs/admin")
		})
	}
}

// One command is for a whole fleet: what fails stops nothing else, and a second run does what is left.
func TestFleet(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 200)
	var gone atomic.Bool
	var at, most atomic.Int32
	for i, a := range admins {
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if i == 7 && gone.Load() {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/config_dump" {
				n := at.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				defer at.Add(-1)
			}
			return false
		}
	}
	seventh := strings.TrimPrefix(admins[7].URL, "http://")
	gone.Store(true)
	says(t, 1, "maintenance on --reason rack --parallel 8 --admins-file "+file,
		"\n199 on, 1 failed: "+seventh+"\n", "error: "+seventh+": ")
	if n := most.Load(); n > 8 {
		t.Errorf("%d are asked at once", n)
	}
	says(t, 1, "status --admins-file "+file,
		"200 Envoys: 1 could not be asked, 199 in maintenance or draining\n\n"+seventh)
	gone.Store(false)
	posts := admins[3].Posts()
	out := says(t, 0, "maintenance on --reason rack -o json --admins-file "+file)
	var states []order.State
	if err := json.Unmarshal([]byte(out), &states); err != nil || len(states) != 200 {
		t.Fatalf("%v, %d", err, len(states))
	}
	for i, s := range states {
		if s.Already == (i == 7) || s.Envoy != strings.TrimPrefix(admins[i].URL, "http://") {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if admins[3].Posts() != posts || admins[7].Posts() != 1 {
		t.Errorf("%d and %d POSTs", admins[3].Posts(), admins[7].Posts())
	}
	says(t, 0, "maintenance on --reason rack --admins-file "+file, "\n200 on (200 already)\n")
	admins[5].Probe(false)
	says(t, 0, "maintenance off --admins-file "+file, "\n200 off\n")
	says(t, 0, "maintenance status --admins-file "+file, "\n200 off\n")
	says(t, 0, "status --admins-file "+file, "200 Envoys: 1 failing, 199 healthy\n\n"+
		strings.TrimPrefix(admins[5].URL, "http://"))
}

// What is said of an Envoy is not as old as what another one took to answer.
func TestSlowOther(t *testing.T) {
	t.Parallel()
	fails := func(a *admintest.Admin) { a.Probe(false) }
	post := func(path string) func(a *admintest.Admin) {
		return func(a *admintest.Admin) { _ = must.Get(http.Post(a.URL+path, "", nil))(t).Body.Close() }
	}
	says := func(value string) func(a *admintest.Admin) {
		return post("/runtime_modify?" + admintest.Key + "=" + value)
	}
	for command, test := range map[string]struct {
		changes func(a *admintest.Admin)
		code    int
		want    string
		notes   int // of the slow one
	}{
		"status":                  {fails, 0, "2 Envoys: 1 failing, 1 healthy", 1},
		"status --expect healthy": {fails, 1, ": shop is failing, not healthy", 1},
		"maintenance status":      {says("true"), 0, "1 off, 1 on", 1},
		"maintenance on":          {says("false"), 1, "it was as ordered before: the key had arrived, and somebody has", 0},
		"maintenance off":         {says("true"), 1, `: it was as ordered before: the layer "admin" says again "true"`, 0},
		"maintenance off -o json": {post("/healthcheck/fail"), 0, "Envoy is draining: its health checks fail", 0},
		"maintenance on --wait-checks 2 --max-unavailable 2": {says("false"), 1,
			"it was as ordered before: the key had arrived, and somebody has", 0},
		"release": {post("/healthcheck/fail"), 1,
			": it was open before: checks of shop get draining", 0},
		"release " + admintest.Key: {fails, 1, ": it was open before: checks of shop get failing", 0},
		"shutdown --wait-checks 0 --quiet 9s": {func(a *admintest.Admin) { a.Close() }, 0,
			"whether they still do is not known", 0},
		"shutdown --wait-checks 0":                  {post("/healthcheck/ok"), 1, ": no longer closed: Envoy says LIVE", 0},
		"shutdown --wait-checks 0 " + admintest.Key: {says(""), 1, ": no longer closed: the key had arrived", 0},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			admins, file := newFleet(t, 2)
			var once sync.Once
			for _, a := range admins {
				a.Asks = func(bool) bool { return true }
			}
			admins[1].Before = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost || !strings.Contains(command, "--max-unavailable") { // which asks all first
					once.Do(func() {
						time.Sleep(stale)
						test.changes(admins[0])
					})
				}
				return false
			}
			out, errs, code := call(t, strings.Fields(command+" --admins-file "+file)...)
			if code != test.code || !strings.Contains(out+errs, test.want) ||
				strings.Count(out+errs, "ago, for answers are slow: it may be another way since") != test.notes {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

func TestFleetFile(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 2)
	edit := func(text string) string {
		name := filepath.Join(t.TempDir(), "fleet.txt")
		must.Write(t, name, text)
		return name
	}
	address := strings.TrimPrefix(admins[1].URL, "http://")
	for _, test := range []struct{ flags, want string }{
		{edit(""), "fleet.txt: has no address of an admin"},
		{edit("\n10.0.0.7\n"), `fleet.txt:2: the line is not http://HOST:PORT`},
		{edit("ops:s3cret\n"), "fleet.txt:1: the line is not http://HOST:PORT"},
		{edit("a:1,b:1"), `fleet.txt:1: the line is several addresses`},
		{edit("a:1\n# b\nhttp://a:1/\n"), "fleet.txt:3: http://a:1/ is given twice"},
		{file + " --admin " + address, "fleet.txt:4: " + address + " is given twice"},
		{file + ".gone", "no such file"},
		{file + " --parallel 0", "--parallel: 0 is none at once"},
	} {
		for _, command := range []string{"status", "maintenance on", "maintenance status", "shutdown"} {
			says(t, 2, command+" --admins-file "+test.flags, test.want)
		}
	}
	if admins[0].Posts() > 0 {
		t.Error("something was changed")
	}
}

// Ctrl-C leaves alone those whose turn has not come, and says of the others how far they came.
func TestFleetInterrupted(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"table", "json"} {
		admins, file := newFleet(t, 6)
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		admins[2].Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				interrupt()
				<-r.Context().Done()
			}
			return false
		}
		var stdout, stderr bytes.Buffer
		code := run(ctx, &stdout, &stderr, "maintenance", "on", "--parallel", "1", "--admins-file", file, "-o", form)
		second := strings.TrimPrefix(admins[2].URL, "http://")
		want := "\n2 on, 1 failed: " + second + ", 3 left as they were: interrupted\n"
		if form == "json" {
			want = `"left": true`
		}
		if code != 1 || !strings.Contains(stdout.String(), want) ||
			!strings.Contains(stdout.String()+stderr.String(), "interrupted: what was written stays") {
			t.Errorf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
		}
		for i, a := range admins {
			if is := a.Runtime()[admintest.Key] != ""; is != (i < 2) && i != 2 {
				t.Errorf("%d: %t", i, is)
			}
		}
	}
}

// never counts how many of a fleet are out of rotation, and fails the test when they are more than most.
func never(t *testing.T, admins []*admintest.Admin, most int) {
	for _, a := range admins {
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			out := 0
			for _, other := range admins {
				if other.Out() {
					out++
				}
			}
			if out > most {
				t.Errorf("%d are out of rotation", out)
			}
			return false
		}
	}
}

// No more are out of rotation at once than is allowed, whoever took them out.
func TestMaxUnavailable(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 7)
	name := func(i int) string { return strings.TrimPrefix(admins[i].URL, "http://") }
	command := " --admins-file " + file + " --max-unavailable "
	never(t, admins, 3)
	for _, test := range []struct{ command, want string }{
		{"maintenance on" + command + "x", `--max-unavailable: "x" is neither a number of Envoys`},
		{"shutdown" + command + "10%", "--max-unavailable: 10% of 7 Envoys is none"},
		{"maintenance on --dry-run" + command + "1", "--dry-run: asks no Envoy; leave out --max-unavailable"},
		{"maintenance on --rtds-file " + filepath.Join(t.TempDir(), "rtds.yaml") + command + "1",
			"--max-unavailable: --rtds-file is for all Envoys at once"},
	} {
		says(t, 2, test.command, test.want)
	}

	admins[1].Probe(false)
	says(t, 1, "maintenance on"+command+"3",
		"7 left as they were: of 7 Envoys no more than 3 may be out of rotation, 1 counts as out ("+name(1)+
			" failing), and 6 more would go; with --for it goes on when they are back\n")
	// Those out already are left out of it, and each other goes once, and comes back.
	says(t, 1, "maintenance on --for 3s"+command+"45%",
		"\n6 back, 1 left as they were: counted as out: "+name(1)+" failing; healthgate status tells why\n")
	for i, a := range admins {
		if posts := a.Posts(); (posts == 1) != (i != 1) || a.Out() != (i == 1) {
			t.Errorf("%d: %d POSTs, out: %t", i, posts, a.Out())
		}
	}

	// One that does not come back ends it.
	admins[1].Probe(true)
	before := admins[3].Before
	admins[3].Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			admins[3].Probe(false)
		}
		return before(w, r)
	}
	says(t, 1, "maintenance on --for 3s --wait 6s"+command+"2", "error: "+name(3)+
		": not back in the time that was given: its health checks are failing; checks of shop get failing: ",
		"\n3 back, 1 failed: "+name(3)+", 3 left as they were: "+name(3)+" failed\n")
}

// writer is what a command writes to.
type writer func(text string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}

// Ctrl-C while one is out says so, and takes nobody else out.
func TestTurnsInterrupted(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 3)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	said := ""
	out := writer(func(text string) {
		if said += text; strings.Contains(text, ": closed: ") {
			interrupt()
		}
	})
	first := strings.TrimPrefix(admins[0].URL, "http://")
	code := run(ctx, out, out, strings.Fields("maintenance on --for 1h --max-unavailable 1 --admins-file "+file)...)
	for _, text := range []string{"\n1 failed: " + first + ", 2 left as they were: interrupted\n",
		"error: " + first + ": interrupted: it was not seen to be back; `healthgate status --admin " + first + "` tells"} {
		if !strings.Contains(said, text) || code != 1 {
			t.Errorf("exit code %d, it does not say %q:\n%s", code, text, said)
		}
	}
	if !admins[0].Out() || admins[1].Posts()+admins[2].Posts() > 0 {
		t.Error("another one is out")
	}
}

// Of an Envoy that was out nothing is shown as it was before: it may be lost, or its key gone.
func TestOutIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"  ?  ", "its key did not stay as it was written"} {
		admins, file := newFleet(t, 1)
		var lost atomic.Bool
		admins[0].Before = func(http.ResponseWriter, *http.Request) bool {
			if lost.Load() {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		said := ""
		out := writer(func(text string) {
			if said += text; !strings.Contains(text, ": closed: ") {
				return
			}
			if lost.Store(want == "  ?  "); !lost.Load() {
				response := must.Get(http.Post(admins[0].URL+"/runtime_modify?"+admintest.Key+"=", "", nil))(t)
				must.Do(t, response.Body.Close())
			}
		})
		code := run(t.Context(), out, out, strings.Fields(
			"maintenance on --for 3s --wait 4s --max-unavailable 1 --admins-file "+file)...)
		if (code == 1) != lost.Load() || !strings.Contains(said, want) {
			t.Errorf("exit code %d, it does not say %q:\n%s", code, want, said)
		}
	}
}

// Two commands that begin at the same moment do not see each other before one of their Envoys is out. Each looks again
// then, and takes its own back.
func TestMaxUnavailableOfTwo(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"maintenance on --for 20s", "shutdown --quit",
		"shutdown " + admintest.Key + " --quit"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			admins, file := newFleet(t, 4)
			name := func(i int) string { return strings.TrimPrefix(admins[i].URL, "http://") }
			var once sync.Once
			admins[0].Before = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					once.Do(func() { admins[3].Probe(false) })
				}
				return false
			}
			says(t, 1, command+" --max-unavailable 1 --admins-file "+file,
				"error: "+name(0)+": of 4 Envoys no more than 1 may be out of rotation, and now 2 count as out ("+name(0)+
					" in maintenance or draining, "+name(3)+" failing); it was taken back\n",
				"1 failed: "+name(0)+", 3 left as they were: "+name(0)+" failed\n")
			if admins[0].Out() || admins[0].Posts() != 2 || admins[1].Posts()+admins[2].Posts() > 0 {
				t.Errorf("out: %t, %d POSTs", admins[0].Out(), admins[0].Posts())
			}
		})
	}
}

// A wave has no more than can go at once: all in it are out for the same time. One Envoy at two addresses would be
// counted twice.
func TestWavesAtOnce(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 3)
	command := "maintenance on --for 3s --max-unavailable 3 --parallel 2 --admins-file " + file
	says(t, 0, command, "\n3 back\n")
	twice := strings.Replace(admins[1].URL, "http://127.0.0.1", "localhost", 1)
	for _, how := range []string{command, "shutdown --max-unavailable 4 --admins-file " + file} {
		says(t, 1, how+" --admin "+twice, "4 left as they were: "+strings.TrimPrefix(admins[1].URL, "http://")+
			": it is the Envoy of "+twice+", at another address: it is counted twice\n")
	}
	for i, a := range admins {
		if a.Posts() != 1 {
			t.Errorf("%d: %d POSTs", i, a.Posts())
		}
	}
}

// One that hangs since then is asked for longer than the command has, and counts as out all the same.
func TestMaxUnavailableHangs(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 3)
	var gone atomic.Bool
	admins[0].Before = func(_ http.ResponseWriter, r *http.Request) bool {
		gone.Store(gone.Load() || r.Method == http.MethodPost)
		return false
	}
	admins[2].Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if gone.Load() {
			<-r.Context().Done()
		}
		return gone.Load()
	}
	says(t, 1, "maintenance on --for 15s --wait 2s --max-unavailable 1 --admins-file "+file,
		"and now 2 count as out (", "it was taken back\n")
	if admins[0].Out() {
		t.Error("it is out")
	}
}

// Two commands, each of which has an Envoy out at the same moment: no more than one may drain.
func TestTwoCommands(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 4)
	turned := filepath.Join(t.TempDir(), "turned.txt")
	text := admins[3].URL + "\n" + admins[1].URL + "\n" + admins[2].URL + "\n" + admins[0].URL + "\n"
	must.Write(t, turned, text)
	var out, drained atomic.Int32
	both := make(chan struct{})
	var commands sync.WaitGroup
	for _, a := range []*admintest.Admin{admins[0], admins[3]} {
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/healthcheck/fail":
				if out.Add(1) == 2 {
					close(both)
				}
				select {
				case <-both:
				case <-r.Context().Done(): // the other one's never comes
				}
			case "/drain_listeners":
				drained.Add(1)
			}
			return false
		}
	}
	for _, list := range []string{file, turned} {
		commands.Go(func() {
			call(t, strings.Fields("shutdown --quit --wait-checks 0 --max-unavailable 1 --admins-file "+list)...)
		})
	}
	commands.Wait()
	if n := drained.Load(); n > 1 {
		t.Errorf("%d drain", n)
	}
}

// An instance is not said to be open while its Envoy takes no connections, and it is noted what may refuse its checks.
func TestReleaseNotForSure(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", admintest.Key} {
		command := "release " + key + " --timeout "
		a := admintest.Start(t)
		a.Filters = `{"name": "rl", "typed_config": {"@type": "x.filters.http.local_ratelimit.v3.LocalRateLimit",
			"token_bucket": {"max_tokens": 1}}},`
		says(t, 0, command+"30s --admin "+a.URL, "open: ", "whether checks of shop get success is not for sure: ",
			`the filter "rl" may refuse`)
		a.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/ready" {
				fmt.Fprint(w, "INITIALIZING")
			}
			return r.URL.Path == "/ready"
		}
		says(t, 1, command+"3s --admin "+a.URL, "not open in the time that was given: Envoy is INITIALIZING")
	}
}

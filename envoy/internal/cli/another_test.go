package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// watched reports whether a request is one for the checks that the plugin has counted.
func watched(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Query().Get("filter"), "^wasmcustom.healthgate_checks")
}

// While a command waits for what follows, somebody else may open the instance again: it is not done then.
func TestOpenedMeanwhile(t *testing.T) {
	t.Parallel()
	const wait = " --wait-checks 1 --quiet 1s --admin "
	t.Run("by the key", func(t *testing.T) {
		t.Parallel()
		a, opened := admintest.Start(t), atomic.Bool{}
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if watched(r) && !opened.Swap(true) {
				response, err := http.Post(a.URL+"/runtime_modify?"+admintest.Key+"=", "", nil)
				if err != nil {
					t.Error(err)
				} else {
					_ = response.Body.Close()
				}
			}
			return false
		}
		says(t, 1, "maintenance on"+wait+a.URL, "no longer closed: the key had arrived, and somebody has changed it since",
			"its health checks may get success", "  off  ")
	})
	t.Run("by Envoy's health check", func(t *testing.T) {
		t.Parallel()
		a, failed := admintest.Start(t), atomic.Bool{}
		a.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if watched(r) {
				failed.Store(false)
			}
			switch is := failed.Load(); {
			case r.URL.Path == "/healthcheck/fail":
				failed.Store(true)
				fmt.Fprint(w, "OK\n")
			case r.URL.Path == "/ready" && is:
				fmt.Fprint(w, "DRAINING")
			case r.URL.Path == "/stats" && is:
				fmt.Fprintln(w, "wasmcustom.healthgate_draining: 1")
			default:
				return false
			}
			return true
		}
		out := says(t, 1, "shutdown"+wait+a.URL, "no longer closed: Envoy says LIVE: somebody has opened it",
			"its health checks may get success")
		if strings.Contains(out, "draining: POST") {
			t.Error("an open instance is drained")
		}
	})
}

// What another Envoy says, which was started in the place of one that was closed, is nobody's opening of it.
func TestStartedAgainMeanwhile(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		key, drains := []string{"", admintest.Key}[i%2], i > 1
		a, b, gone := admintest.Start(t), admintest.Start(t), atomic.Bool{}
		a.Before = func(w http.ResponseWriter, r *http.Request) bool {
			begins := watched(r) // one while checks are waited for, or one after it drains
			if drains {
				begins = strings.Contains(r.URL.RawQuery, "downstream_rq_active")
			}
			if gone.Store(gone.Load() || begins); gone.Load() {
				b.ServeHTTP(w, r)
			}
			return gone.Load()
		}
		_, stderr, code := call(t, strings.Fields("shutdown --quiet 1s --admin "+a.URL+" "+key)...)
		if code != 1 || !strings.Contains(stderr, "another Envoy answers here than at the begin") ||
			!strings.Contains(stderr, "; its health checks may get success\n") || strings.Contains(stderr, "somebody has") {
			t.Errorf("drains: %t, exit code %d, %s", drains, code, stderr)
		}
	}
}

// A layer is for all Envoys: those that could not be asked, or refused, may read it, and are not left as they were.
func TestLayerOfOneThatRefuses(t *testing.T) {
	t.Parallel()
	a, dead := admintest.Start(t), httptest.NewServer(nil)
	again := httptest.NewServer(a)
	t.Cleanup(again.Close)
	dead.Close()
	for _, layer := range []string{"--runtime-dir " + t.TempDir() + "/d", "--rtds-file " + t.TempDir() + "/rtds.yaml"} {
		for _, command := range []string{"shutdown " + admintest.Key, "maintenance on", "maintenance off"} {
			for _, admins := range []string{dead.URL, dead.URL + " --admin " + a.URL,
				dead.URL + " --admin " + a.URL + " --admin " + again.URL} {
				stdout, stderr, code := call(t, strings.Fields(command+" "+layer+" --admin "+admins)...)
				all := stdout + stderr
				if code != 1 || strings.Contains(all, "nothing was changed") || strings.Contains(all, "left as") {
					t.Errorf("%s %s: exit code %d\n%s", command, admins, code, all)
				}
				const reads = " was written, and it may read that"
				back := strings.Count(all, reads+": do it again, or take it back: healthgate maintenance off ")
				if strings.Contains(all, reads) == strings.Contains(all, "has no key") ||
					command[0] == 's' && back != 1+strings.Count(admins, "--admin") {
					t.Errorf("%s %s:\n%s", command, admins, all)
				}
			}
		}
	}
}

// One Envoy at two addresses is not two.
func TestOneEnvoyAtTwoAddresses(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	again := httptest.NewServer(a)
	t.Cleanup(again.Close)
	for _, command := range []string{"maintenance on", "maintenance off", "shutdown --quiet 1s " + admintest.Key} {
		says(t, 1, command+" --admin "+a.URL+" --admin "+again.URL, "it is the Envoy of http://127.0.0.1:",
			"at another address: leave one of them out")
	}
	says(t, 0, "status --admin "+a.URL+" --admin "+again.URL, "note: it is the Envoy of "+a.URL+", at another address")
	says(t, 0, "maintenance status --admin "+a.URL+" --admin "+again.URL,
		"it is the Envoy of "+a.URL+", at another address: it is counted twice")
	says(t, 0, "maintenance on --admin "+a.URL)
	out := says(t, 1, "maintenance off --parallel 1 --admin "+a.URL+" --admin "+again.URL,
		"1 off, 1 left as they were: "+again.URL+": it is the Envoy of "+a.URL+", at another address")
	if strings.Contains(out, "  on  ") {
		t.Errorf("a row of what is no more:\n%s", out)
	}
}

// release waits for no probe that only a check asks, and opens no Envoy without a health check.
func TestReleaseWithoutProbes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		old, new, want string
		posts          int
	}{
		{`"path": "/"}`, `"path": "/", "on_demand": {}}`,
			"each endpoint needs; shop needs web, too, which is on demand: a check asks it\n", 1},
		{`"maintenance": {"keys": ["` + admintest.Key + `"]}, "probes": {"names": ["web"]}`, `"kind": "status"`,
			"its configuration has no health check of healthgate; nothing was changed\n", 0},
	} {
		a := admintest.Start(t)
		a.Probe(false)
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said := httptest.NewRecorder()
			a.ServeHTTP(said, r)
			w.WriteHeader(said.Code)
			fmt.Fprint(w, strings.Replace(said.Body.String(), test.old, test.new, 1))
		}))
		t.Cleanup(other.Close)
		if says(t, 1, "release --timeout 6s --admin "+other.URL, test.want); a.Posts() != test.posts {
			t.Errorf("%d POSTs, want %d", a.Posts(), test.posts)
		}
	}
}

// A proxy that lets only some paths of admin through is named for what is not known.
func TestDenied(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"maintenance on --wait 6s", "maintenance off --wait 3s",
		"maintenance on --route --wait 6s r"} {
		a := admintest.Start(t)
		a.Before = func(w http.ResponseWriter, r *http.Request) bool {
			denied := r.URL.Path == "/stats" || r.URL.Path == "/server_info"
			if denied {
				w.WriteHeader(http.StatusForbidden)
			}
			return denied
		}
		says(t, 1, command+" --admin "+a.URL, "GET /stats was answered 403; --verify URL would tell where Envoy shows ")
	}
}

// A proxy that sends each request to another Envoy: it is not one that was closed.
func TestSeveralBehindOneAddress(t *testing.T) {
	t.Parallel()
	a, b, n := admintest.Start(t), admintest.Start(t), atomic.Int32{}
	both := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config_dump" && n.Add(1) > 1 {
			b.ServeHTTP(w, r)
			return
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(both.Close)
	says(t, 1, "maintenance on --wait 10s --admin "+both.URL, "  ?  ", "another Envoy answers here than at the begin")
}

// status waits for no check that would change nothing: of a verdict, or of an endpoint, that is not what is expected.
func TestStatusWaitsForWhatIsExpected(t *testing.T) {
	t.Parallel()
	a, begin := admintest.Start(t), time.Now()
	says(t, 1, "status --wait 1m --expect shop=maintenance --admin "+a.URL, "shop is healthy, not maintenance")
	says(t, 1, "status --wait 1m --expect other=healthy --admin "+a.URL, `there is no health check "other"`)
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// Who has watched, and never seen anything, has not seen that all is well.
func TestWatchOfNothing(t *testing.T) {
	t.Parallel()
	for frozen, want := range map[bool]int{true: 1, false: 0} {
		a, asked := admintest.Start(t), make(chan struct{}, 100)
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/runtime" {
				select {
				case asked <- struct{}{}:
				default:
				}
			}
			if frozen {
				<-r.Context().Done()
			}
			return frozen
		}
		ctx, interrupt := context.WithCancel(t.Context())
		done := make(chan int)
		go func() {
			done <- run(ctx, io.Discard, io.Discard, "status", "--watch", "--interval", "10ms", "--admin", a.URL)
		}()
		<-asked
		if !frozen {
			<-asked // it has shown something before
		}
		interrupt()
		if code := <-done; code != want {
			t.Errorf("frozen %t: exit code %d, want %d", frozen, code, want)
		}
	}
}

// A login that was changed while somebody watches is sent, and where it can't be read, the one before.
func TestWatchReadsAgain(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	a.Before = func(w http.ResponseWriter, r *http.Request) bool {
		wrong := r.Header.Get("Authorization") != "Bearer new"
		if wrong {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return wrong
	}
	login := filepath.Join(t.TempDir(), "login")
	must.Write(t, login, "old")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdout, out := io.Pipe()
	go func() {
		run(ctx, out, io.Discard, "status", "--watch", "-o", "json", "--interval", "10ms", "--admin", a.URL,
			"--admin-auth-file", login)
		_ = out.Close()
	}()
	lines := bufio.NewScanner(stdout)
	shows := func(all ...string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && lines.Scan(); {
			if !slices.ContainsFunc(all, func(text string) bool { return !strings.Contains(lines.Text(), text) }) {
				return
			}
		}
		t.Fatalf("no line has %q, the last is %s", all, lines.Text())
	}
	shows("answered 401")
	must.Write(t, login, "new")
	shows(`"verdict":"healthy"`)
	must.Do(t, os.Remove(login))
	shows(`"verdict":"healthy"`, "--admin-auth-file: open "+login+": no such file or directory: what it held before")
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
}

// One Envoy by its admin and by its status endpoint may be two, as far as that tells.
func TestOneIDTwice(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	for id, note := range map[string]bool{"n": true, "m": false, "": false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/health+json")
			fmt.Fprintf(w, `{"serviceId": %q, "description": "healthgate", "checks": {}}`, id)
		}))
		t.Cleanup(server.Close)
		out := says(t, 0, "status --admin "+a.URL+" --status-url "+server.URL+"/s --status-url "+server.URL+"/t")
		want := `its id, "n", is also that of ` + a.URL + ": if that is the same Envoy, it is counted twice"
		if strings.Contains(out, want) != note {
			t.Errorf("%q: %s", id, out)
		}
	}
}

// An Envoy that ended while it was waited for has taken its admin layer with it.
func TestGoneMeanwhile(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/stats" && len(a.Runtime()) > 0 {
			_ = a.Listener.Close()
			panic(http.ErrAbortHandler)
		}
		return false
	}
	says(t, 1, "maintenance on --wait 3s --admin "+a.URL, "  ?  ", "connection refused")
}

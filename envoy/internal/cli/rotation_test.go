package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
)

// What the application answers, or a load balancer makes of a reply that is no success, is not said to be healthy.
func TestNotHealthy(t *testing.T) {
	t.Parallel()
	const warm = `"degraded": {"probes": ["web"], "status": `
	for _, test := range []struct {
		name, rests, head string
		release           int
		released, back    string
	}{
		{"passed", `"healthy": {"action": "pass"}`, "passed to the application", 0,
			"the application answers checks of shop, and whether with success is not known: `healthgate check` asks it",
			"back: its health checks are passed to the application; the application answers checks of shop, and whether "},
		{"degraded, a success", warm + `200}`, "degraded", 0, "open: POST /healthcheck/ok",
			"back: its health checks are degraded; "},
		{"degraded, no success", warm + `429}`, "degraded", 1,
			"not open in the time that was given: checks of shop get 429, which is no success", "counted as out: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			admins, file := newFleet(t, 2)
			for _, a := range admins {
				a.Rests = test.rests
				a.Probe(false)
			}
			file = " --admins-file " + file
			says(t, 0, "status --admin "+admins[0].URL, "  1 of 1 health checks "+test.head+"  ")
			says(t, 0, "status"+file, "2 Envoys: 2 "+test.head)
			says(t, test.release, "release --timeout "+[]string{"30s", "3s"}[test.release]+file, test.released)
			says(t, test.release, "maintenance on --for 3s --max-unavailable 1"+file, test.back)
		})
	}
}

// An Envoy is back when so many checks in a row have seen it, unless none had seen it before, either.
func TestBack(t *testing.T) {
	t.Parallel()
	const often = "--wait-checks 2 --quiet 2s --wait 6s"
	for _, test := range []struct {
		name, flags string
		asks        func() func(out bool) bool // whether a load balancer does
		code        int
		want        string
	}{
		{"asked all the time", often, func() func(bool) bool { return func(bool) bool { return true } }, 0,
			": back: its health checks are healthy; checks with success: shop "},
		{"asked less often than --wait", "--quiet 20s --wait 3s", func() func(bool) bool {
			last := time.Now()
			return func(bool) bool {
				asks := time.Since(last) > 2*time.Second
				if asks {
					last = time.Now()
				}
				return asks
			}
		}, 0, ": back: its health checks are healthy; checks with success: shop 3\n"},
		{"asked once, before", often, func() func(bool) bool {
			asks := true
			return func(bool) bool {
				defer func() { asks = false }()
				return asks
			}
		}, 0, ": back: its health checks are healthy; no check of shop came while it went, and none is waited for\n"},
		{"never asked", often, func() func(bool) bool { return nil }, 0,
			": back: its health checks are healthy; no check of shop came while it went, and none is waited for\n"},
		{"asked no more", often, func() func(bool) bool { return func(out bool) bool { return out } }, 1,
			": not back in the time that was given: its health checks are healthy; shop has answered 0 of 2 checks with " +
				"success: is that time enough for so many of the load balancer's?; whether it is in rotation is not known; " +
				"`healthgate status --admin "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			admins, file := newFleet(t, 2)
			for _, a := range admins {
				a.Asks = test.asks()
			}
			says(t, test.code, "maintenance on --for 4s "+test.flags+" --max-unavailable 1 --admins-file "+file, test.want)
			if admins[1].Posts() != 1-test.code {
				t.Error("another one goes")
			}
		})
	}
}

// What was asked while it went is asked when it has been started again, by whatever name, or it is not back.
func TestBackAnotherProcess(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shop", "web"} {
		admins, file := newFleet(t, 2)
		again := admintest.Start(t) // which nobody asks
		var went time.Time
		admins[0].Asks = func(out bool) bool { // less often than it takes to close
			if went.IsZero() && out {
				went = time.Now()
			}
			return out && time.Since(went) > time.Second
		}
		admins[0].Before = func(w http.ResponseWriter, r *http.Request) bool {
			over := admins[0].Posts() > 0 && !admins[0].Out()
			if over {
				said := httptest.NewRecorder()
				again.ServeHTTP(said, r)
				must.Get(io.WriteString(w, strings.ReplaceAll(said.Body.String(), "shop", name)))(t)
			}
			return over
		}
		says(t, 1, "maintenance on --for 4s --wait-checks 2 --quiet 2s --wait 6s --max-unavailable 1 --admins-file "+file,
			name+" has answered 0 of 2 checks with success")
		if admins[1].Posts() > 0 {
			t.Error("another one goes")
		}
	}
}

// An Envoy that was back, and is no longer when all were, is not counted as back.
func TestBackNoMore(t *testing.T) {
	t.Parallel()
	admins, file := newFleet(t, 2)
	admins[1].Before = func(http.ResponseWriter, *http.Request) bool {
		if admins[1].Posts() > 0 && !admins[1].Out() { // its time is over
			admins[0].Probe(false)
		}
		return false
	}
	first := strings.TrimPrefix(admins[0].URL, "http://")
	says(t, 1, "maintenance on --for 3s --max-unavailable 1 --admins-file "+file, "1 back, 1 failed: "+first,
		first+": it was back before: its health checks are failing; `healthgate status --admin "+first+"` tells how it is")
}

// Health checks that fail until a key ends do not stay so.
func TestLeftUntil(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	says(t, 1, "maintenance on --for 1h --wait-checks 2 --wait 4s --quiet 4s --admin "+a.URL,
		"; its health checks fail until 20", "(in 59m", "): do it again, or take it back: healthgate maintenance off ")
}

// How an Envoy is that can't be asked any more is not known, whatever it was before.
func TestLost(t *testing.T) {
	t.Parallel()
	const status, last = "; `healthgate status --admin ", "; when it was asked last, its health checks failed"
	for command, want := range map[string]string{
		"shutdown " + admintest.Key + " --timeout 4s --quiet 3s": last + status,
		"shutdown --timeout 4s --quiet 3s":                       last + status,
		"maintenance on --for 3s --max-unavailable 1 --wait 4s":  "; whether it is in rotation is not known" + status,
	} {
		for how, answer := range map[string]func(http.ResponseWriter){
			"it hangs up": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
			"by a proxy":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		} {
			t.Run(command+" "+how, func(t *testing.T) {
				t.Parallel()
				a := admintest.Start(t)
				var lost atomic.Bool
				a.Before = func(w http.ResponseWriter, r *http.Request) bool {
					seen := strings.HasPrefix(r.URL.Query().Get("filter"), "^"+report.Checks)
					if seen || a.Posts() > 0 && !a.Out() {
						lost.Store(true)
					}
					if lost.Load() {
						answer(w)
					}
					return lost.Load()
				}
				says(t, 1, command+" --admin "+a.URL, want)
			})
		}
	}
}

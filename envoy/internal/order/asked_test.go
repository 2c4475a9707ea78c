package order

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/verdict"
)

// A change that got no answer may have been carried out: nothing is said of the key then. One that was refused was not.
func TestPostFails(t *testing.T) {
	t.Parallel()
	const unknown = "whether the key was written is not known"
	for status, want := range map[int]string{0: unknown, 200: unknown, 202: unknown, 502: unknown, 403: "answered 403"} {
		client, _ := answers{
			"/runtime": says(strings.ReplaceAll(isOn, "true", "false")),
			"/runtime_modify": func(w http.ResponseWriter) {
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(status) // 202 and 502 are of a proxy
				fmt.Fprint(w, "<html>")
			},
		}.start(t)
		s, sent := Ask(t.Context(), client, "k", false).Post(t.Context(), Order{Key: "k", Value: On, On: true})
		known := s.On != nil && s.Value != ""
		if sent || !strings.Contains(s.Error, want) || known != (status == 403) || s.Key != "k" || s.Endpoints != nil {
			t.Errorf("answered %d: %+v", status, s)
		}
	}
}

// A key ends by Envoy's clock, which may be another one than the operator's.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]string{
		time.Hour:  "the time of the key is over: it ended by itself at ",
		-time.Hour: "behind this machine's, and the key ends by it",
	} {
		until := time.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339)
		client, _ := answers{
			"/runtime": func(w http.ResponseWriter) {
				w.Header().Set("Server", "envoy")
				w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
				fmt.Fprint(w, strings.ReplaceAll(isOn, "true", until))
			},
			"/stats": says(gaugeOfA + "1\n"), "/config_dump": says(configuration(t)),
		}.start(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		e := Ask(ctx, client, "k", false)
		if note := strings.Join(e.Report().Notes, "; "); !strings.Contains(note, ", and the key ends by it") {
			t.Errorf("%s ahead: notes %q", ahead, note)
		}
		s := e.Wait(ctx, Order{Key: "k", Value: until, On: true}, reach.Admin, nil)
		cancel()
		if said := s.Error + strings.Join(s.Notes, "; "); !strings.Contains(said, want) || s.on() != (ahead < 0) ||
			(s.Error != "") != (ahead > 0) || !strings.Contains(said, "Envoy's clock is ") {
			t.Errorf("%s ahead: %+v", ahead, s)
		}
	}
}

// Counters that an operator resets meanwhile count nothing.
func TestResetCounters(t *testing.T) {
	t.Parallel()
	before, after := reading{}, reading{}
	before.counts[verdict.Maintenance] = 7
	if n := before.rise(after, verdict.Maintenance); n != 0 {
		t.Errorf("%d checks", n)
	}
}

// A proxy before admin that leads a POST to another Envoy than a GET is asked for.
func TestPartsPosts(t *testing.T) {
	t.Parallel()
	a, b := admintest.Start(t), admintest.Start(t)
	a.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			b.ServeHTTP(w, r)
		}
		return r.Method == http.MethodPost
	}
	client := must.Get(admin.New(a.URL, admin.Access{}))(t)
	e, o := Ask(t.Context(), client, admintest.Key, false), Order{Key: admintest.Key, Value: On, On: true}
	if _, sent := e.Post(t.Context(), o); !sent {
		t.Fatal("it was not posted")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*atLeast)
	defer cancel()
	if got := e.Wait(ctx, o, reach.Admin, nil).Error; !strings.Contains(got, "lead a POST to another Envoy than a GET?") {
		t.Errorf("%q", got)
	}
}

// A cache before admin that shows runtime as it was keeps no order from being written.
func TestCachedRuntime(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	client := must.Get(admin.New(a.URL, admin.Access{}))(t)
	must.Do(t, client.ModifyRuntime(t.Context(), admintest.Key, On))
	a.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/runtime" {
			fmt.Fprint(w, `{"layers": ["admin"], "entries": {}}`)
		}
		return r.URL.Path == "/runtime"
	}
	e, o := Ask(t.Context(), client, admintest.Key, false), Order{Key: admintest.Key}
	if e.Has(o, reach.Admin) {
		t.Error("it is said to be off already")
	}
	delete(e.gauges, "shop")
	if e.Has(o, reach.Admin) {
		t.Error("it is said to be off already, where no gauge says so")
	}
}

// An address that leads to several Envoys, by connection or by request, is refused before anything is written.
func TestSeveralEnvoys(t *testing.T) {
	t.Parallel()
	for _, turn := range []func(r *http.Request, asked int) any{
		func(_ *http.Request, asked int) any { return asked % 2 },
		func(r *http.Request, _ int) any { return r.RemoteAddr },
	} {
		a, b := admintest.Start(t), admintest.Start(t)
		var first any
		asked := 0
		a.Before = func(w http.ResponseWriter, r *http.Request) bool {
			asked++
			if first == nil {
				first = turn(r, asked)
			}
			other := turn(r, asked) != first
			if other {
				b.ServeHTTP(w, r)
			}
			return other
		}
		client := must.Get(admin.New(a.URL, admin.Access{}))(t)
		what := Ask(t.Context(), client, admintest.Key, false).Refuses(Order{Key: admintest.Key, Value: On, On: true},
			reach.Admin, nil)
		if what != admin.ErrAnother.Error() {
			t.Errorf("%q", what)
		}
	}
}

// Nothing is written to an Envoy that was not asked to the end, whatever was asked when the time was over.
func TestAskIsCutOff(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/runtime", "/server_info", "/config_dump", "/stats"} {
		a := admintest.Start(t)
		ctx, cancel := context.WithCancel(t.Context())
		a.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				cancel()
			}
			return false
		}
		client := must.Get(admin.New(a.URL, admin.Access{}))(t)
		if Ask(ctx, client, admintest.Key, false).Refuses(Order{Key: admintest.Key, Value: On, On: true}, reach.Admin,
			nil) == "" {
			t.Errorf("it would be written, though %s was not answered", path)
		}
	}
}

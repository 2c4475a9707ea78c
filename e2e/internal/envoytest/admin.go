package envoytest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// Client is the driver's: each request has a connection of its own, so that every worker gets some.
var Client = run.Client

// Get returns a page of the admin interface.
func (e *Envoy) Get(path string) string {
	e.t.Helper()
	return e.page("GET", path)
}

// Post does what an operator's curl -X POST does.
func (e *Envoy) Post(path string) {
	e.t.Helper()
	e.page("POST", path)
}

func (e *Envoy) page(method, path string) string {
	e.t.Helper()
	request := must.Get(http.NewRequest(method, e.envoy.AdminURL+path, nil))(e.t)
	a, err := Read(Client.Do(request))
	if err != nil || a.Status != http.StatusOK {
		e.t.Fatalf("%s admin %s: %v %v", method, path, err, a)
	}
	return a.Body
}

// SetRuntime sets keys of the admin layer, given as key, value, key, value…; an empty value takes the key out.
func (e *Envoy) SetRuntime(pairs ...string) {
	e.t.Helper()
	must.Do(e.t, e.Admin.ModifyRuntime(context.Background(), pairs...))
}

// Stats returns the counters and gauges whose names match a regular expression.
func (e *Envoy) Stats(filter string) map[string]int {
	e.t.Helper()
	stats := must.Get(e.Admin.Stats(context.Background(), filter))(e.t)
	out := map[string]int{}
	for name, n := range stats {
		out[name] = int(n)
	}
	return out
}

// Stat returns an error unless the counter or gauge has the value: a condition for Eventually.
func (e *Envoy) Stat(name string, want int) error {
	e.t.Helper()
	got, is := e.Stats("^" + strings.ReplaceAll(name, ".", `\.`) + "$")[name]
	if !is || got != want {
		return fmt.Errorf("%s is %d (present: %v), not %d", name, got, is, want)
	}
	return nil
}

// Grows waits until a counter has grown by so many.
func (e *Envoy) Grows(name string, by int) {
	e.t.Helper()
	before := e.Stats(name)[name]
	Eventually(e.t, Limit, name+" grows", func() error {
		if n := e.Stats(name)[name]; n < before+by {
			return fmt.Errorf("it grew by %d, not by %d", n-before, by)
		}
		return nil
	})
}

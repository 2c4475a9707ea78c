package envoytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

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
	request, err := http.NewRequest(method, e.envoy.AdminURL+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	response, err := Client.Do(request)
	if err != nil {
		e.t.Fatalf("%s admin %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		e.t.Fatalf("%s admin %s: %d %v %s", method, path, response.StatusCode, err, body)
	}
	return string(body)
}

// SetRuntime sets keys of the admin layer, given as key, value, key, value…; an empty value takes the key out.
func (e *Envoy) SetRuntime(pairs ...string) {
	e.t.Helper()
	if err := e.Admin.ModifyRuntime(context.Background(), pairs...); err != nil {
		e.t.Fatal(err)
	}
}

// Stats returns the counters and gauges whose names match a regular expression.
func (e *Envoy) Stats(filter string) map[string]int {
	e.t.Helper()
	stats, err := e.Admin.Stats(context.Background(), filter)
	if err != nil {
		e.t.Fatal(err)
	}
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

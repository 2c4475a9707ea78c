package envoytest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/run"
)

// Client is the driver's: each request has a connection of its own, so that every worker gets some.
var Client = run.Client

func (e *Envoy) adminGet(path string) (int, string, error) {
	return read(Client.Get(e.envoy.AdminURL + path))
}

func read(r *http.Response, err error) (int, string, error) {
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	return r.StatusCode, string(body), err
}

// Get returns a page of the admin interface.
func (e *Envoy) Get(path string) string {
	e.t.Helper()
	status, body, err := e.adminGet(path)
	if err != nil || status != http.StatusOK {
		e.t.Fatalf("GET admin %s: %d %v %s", path, status, err, body)
	}
	return body
}

// Post does what an operator's curl -X POST does.
func (e *Envoy) Post(path string) {
	e.t.Helper()
	status, body, err := read(Client.Post(e.envoy.AdminURL+path, "", nil))
	if err != nil || status != http.StatusOK {
		e.t.Fatalf("POST admin %s: %d %v %s", path, status, err, body)
	}
}

// SetRuntime sets keys of the admin layer, given as key, value, key, value…; an empty value takes the key out.
func (e *Envoy) SetRuntime(pairs ...string) {
	e.t.Helper()
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	// Envoy takes a plus sign for one, not for a space.
	e.Post("/runtime_modify?" + strings.ReplaceAll(query.Encode(), "+", "%20"))
}

// Stats returns the counters and gauges whose names contain the text.
func (e *Envoy) Stats(contain string) map[string]int {
	e.t.Helper()
	out := map[string]int{}
	for line := range strings.Lines(e.Get("/stats?filter=" + url.QueryEscape(contain))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.Atoi(value); err == nil { // histograms are no numbers
			out[name] = n
		}
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

package istio

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// The source addresses of clients: the manifests trust the first.
const (
	trusted   = "127.0.0.1"
	untrusted = "127.0.0.3"
)

// client sends requests to one workload, from one address.
type client struct {
	http   *http.Client
	target string
}

// newClient returns a client that opens a connection for each request, or keeps its connections.
func newClient(t testing.TB, source, target string, keepAlive bool) *client {
	c := &client{envoytest.ClientFrom(source, keepAlive), target}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// send sends a request; headers are name, value, name, value.
func (c *client) send(method, path string, headers ...string) (envoytest.Answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.target, nil)
	if err != nil {
		return envoytest.Answer{}, err
	}
	r.URL = &url.URL{Scheme: "http", Host: c.target, Opaque: path} // as it is: nothing is encoded or normalized
	r.Host = "shop.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return envoytest.Read(c.http.Do(r))
}

// gets returns a condition for envoytest.Eventually: the path answers so.
func (c *client) gets(path string, status int, body string) func() error {
	return func() error {
		a, err := c.send("GET", path)
		if err == nil {
			err = a.Says(status, body)
		}
		return err
	}
}

// get sends a GET request that must be answered so.
func (c *client) get(t testing.TB, path string, status int, body string) envoytest.Answer {
	t.Helper()
	a := must.Get(c.send("GET", path))(t)
	if err := a.Says(status, body); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return a
}

// startLoad sends requests of users, through new connections and through a kept one. Not one may fail.
func startLoad(t testing.TB, target string) {
	t.Helper()
	var clients []func() (envoytest.Answer, error)
	for _, keepAlive := range []bool{false, true} {
		c := newClient(t, untrusted, target, keepAlive)
		clients = append(clients, func() (envoytest.Answer, error) { return c.send("GET", envoytest.UsersPath) })
	}
	envoytest.Users(t, 5*time.Millisecond, clients...)
}

// watch sends checks again and again, at the longest until the test ends.
func watch(t testing.TB, c *client) *watcher {
	return &watcher{envoytest.StartLoad(t, 5*time.Millisecond, func() string {
		a, err := c.send("GET", check)
		if err != nil {
			return err.Error()
		}
		return a.Said()
	})}
}

type watcher struct{ *envoytest.Load }

// saw waits until each of those answers came, ends the watcher, and fails the test if another one came.
func (w *watcher) saw(t testing.TB, answers ...string) {
	t.Helper()
	for _, text := range answers {
		envoytest.Eventually(t, envoytest.Limit, "a check is answered "+text, func() error {
			if seen := w.Seen(); seen[text].Times == 0 {
				return fmt.Errorf("they were answered %v", seen)
			}
			return nil
		})
	}
	w.Saw(t, answers...)
}

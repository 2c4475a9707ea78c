package istio

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
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
	dialer := envoytest.DialerFrom(source, envoytest.Limit)
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: !keepAlive, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{&http.Client{Transport: transport, Timeout: envoytest.Limit}, target}
}

// answer is a response as a client sees it.
type answer struct {
	status  int
	body    string
	headers http.Header
}

func (a answer) String() string { return fmt.Sprintf("%d %q %v", a.status, a.body, a.headers) }

// send sends a request; headers are name, value, name, value.
func (c *client) send(method, path string, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.target, nil)
	if err != nil {
		return answer{}, err
	}
	r.URL = &url.URL{Scheme: "http", Host: c.target, Opaque: path} // as it is: nothing is encoded or normalized
	r.Host = "shop.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), response.Header}, err
}

// gets returns a condition for envoytest.Eventually: the path answers so.
func (c *client) gets(path string, status int, body string) func() error {
	return func() error {
		a, err := c.send("GET", path)
		if err == nil && (a.status != status || a.body != body) {
			err = fmt.Errorf("%s answers %v, not %d %q", path, a, status, body)
		}
		return err
	}
}

// get sends a GET request that must be answered so.
func (c *client) get(t testing.TB, path string, status int, body string) answer {
	t.Helper()
	a := must.Get(c.send("GET", path))(t)
	if a.status != status || a.body != body {
		t.Errorf("%s answers %v, want %d %q", path, a, status, body)
	}
	return a
}

// load sends ordinary requests until it ends: through new connections and through kept ones. Not one may fail.
type load struct {
	sent   atomic.Int64
	mu     sync.Mutex
	failed []error
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startLoad starts a load on a path that is no endpoint's; it ends with the test, which fails if a request failed.
func startLoad(t testing.TB, target string) *load {
	const path = "/shop"
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for _, keepAlive := range []bool{false, true} {
		c := newClient(t, untrusted, target, keepAlive)
		l.done.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				if err := c.gets(path, http.StatusOK, "app "+path)(); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err)
					l.mu.Unlock()
				}
				l.sent.Add(1)
				<-pace.C
			}
		})
	}
	t.Cleanup(func() {
		l.cancel()
		l.done.Wait()
		n := l.sent.Load()
		t.Logf("%d requests of users, %d failed", n, len(l.failed))
		if n == 0 {
			t.Error("there was no load")
		}
		if len(l.failed) > 0 {
			t.Errorf("%d of %d requests of users failed, the first: %v", len(l.failed), n, l.failed[0])
		}
	})
	return l
}

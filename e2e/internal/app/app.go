// Package app is an application behind Envoy, for tests: it counts what it sees, and fails in every way on command.
package app

import (
	"github.com/healthgate/healthgate/envoy/must"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// App is one application. A path answers 200 with its own name until a test says otherwise.
type App struct {
	Port int

	t       testing.TB
	handler http.Handler // nil: answer as told
	mu      sync.Mutex
	server  *http.Server // nil while the application is gone
	seen    map[string][]Request
	replies map[string]reply
}

// Request is a request as the application saw it.
type Request struct {
	At      time.Time
	Method  string
	Target  string // as it stands in the request line
	Host    string
	Headers http.Header
	Body    string
}

type reply struct {
	status  int
	release <-chan struct{} // nil: at once
}

// Start starts an application; it ends with the test.
func Start(t testing.TB) *App { return Serve(t, nil) }

// Serve starts an application that lets a handler answer, to count for it and to make it vanish.
func Serve(t testing.TB, handler http.Handler) *App {
	t.Helper()
	a := &App{
		Port: must.Port(t), t: t, handler: handler,
		seen: map[string][]Request{}, replies: map[string]reply{},
	}
	a.Return()
	t.Cleanup(a.Vanish)
	return a
}

// Vanish makes the application refuse connections, those that are open included.
func (a *App) Vanish() {
	a.mu.Lock()
	server := a.server
	a.server = nil
	a.mu.Unlock()
	if server != nil {
		_ = server.Close() // nothing is lost that anyone waits for
	}
}

// Return makes a vanished application listen again, on its port.
func (a *App) Return() {
	a.t.Helper()
	listener, err := net.Listen("tcp", envoytest.Loopback(a.Port))
	if err != nil {
		a.t.Fatalf("application: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: time.Minute}
	a.mu.Lock()
	a.server = server
	a.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // ends with Vanish
}

// Answer makes a path answer with a status.
func (a *App) Answer(path string, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[path] = reply{status: status}
}

// Hold makes requests for a path wait, until release is called or the test ends; they are then answered with 200.
func (a *App) Hold(path string) (release func()) {
	gate := make(chan struct{})
	release = sync.OnceFunc(func() {
		close(gate)
		a.Answer(path, http.StatusOK)
	})
	a.t.Cleanup(release)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[path] = reply{http.StatusOK, gate}
	return release
}

func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	path, _, _ := strings.Cut(r.RequestURI, "?") // not r.URL.Path, which is decoded
	body, _ := io.ReadAll(r.Body)                // a client that leaves early is none of the application's business
	a.mu.Lock()
	a.seen[path] = append(a.seen[path], Request{now, r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(body)})
	answer, told := a.replies[path]
	a.mu.Unlock()
	if a.handler != nil {
		a.handler.ServeHTTP(w, r)
		return
	}
	if !told {
		answer.status = http.StatusOK
	}
	if answer.release != nil {
		select {
		case <-answer.release:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("X-App", "yes")
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, "app "+path) // the client may be gone
}

// Seen returns the requests for a path, as it stands in the request line without the query, in their order.
func (a *App) Seen(path string) []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Request(nil), a.seen[path]...)
}

// Count returns how many requests for a path there were.
func (a *App) Count(path string) int { return len(a.Seen(path)) }

// Package demoapp is a small application to put behind Envoy: nodes with a health endpoint each, which can be told to
// fail or to hang, and everything else. It counts what reaches it.
//
//	GET  /<node>/isalive                the node's status, or no answer while it hangs
//	POST /demo/node/<node>?status=500   make it answer so
//	POST /demo/node/<node>?hang=true    make it not answer
//	POST /demo/node/<node>              make it well again
//	GET  /demo/requests                 how many requests came, by path, as JSON
//	any other                           "application: GET /path", after ?delay=3s if that is asked for
package demoapp

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Node is how a node answers its health endpoint.
type Node struct {
	Status int
	Hang   bool
}

// App is the application. It is an http.Handler.
type App struct {
	mux  *http.ServeMux
	logf func(format string, args ...any)

	mu     sync.Mutex
	nodes  map[string]Node
	counts map[string]int
}

// New makes an application whose nodes are all well. What happens, but not each probe, is said to logf.
func New(logf func(format string, args ...any), nodes ...string) *App {
	a := &App{mux: http.NewServeMux(), logf: logf, nodes: map[string]Node{}, counts: map[string]int{}}
	for _, name := range nodes {
		a.nodes[name] = Node{Status: http.StatusOK}
		a.mux.HandleFunc("GET /"+name+"/isalive", func(w http.ResponseWriter, r *http.Request) { a.alive(w, r, name) })
	}
	a.mux.HandleFunc("POST /demo/node/{node}", a.control)
	a.mux.HandleFunc("GET /demo/requests", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.Counts())
	})
	a.mux.HandleFunc("/", a.other)
	return a
}

// ServeHTTP counts and answers.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/demo/") {
		a.mu.Lock()
		a.counts[r.URL.Path]++
		a.mu.Unlock()
	}
	a.mux.ServeHTTP(w, r)
}

// Counts says how many requests came for each path, those under /demo/ left out.
func (a *App) Counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

// Set changes how a node answers from its next request on. It reports false for an unknown node.
func (a *App) Set(name string, n Node) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.nodes[name]; !ok {
		return false
	}
	a.nodes[name] = n
	return true
}

func (a *App) alive(w http.ResponseWriter, r *http.Request, name string) {
	a.mu.Lock()
	n := a.nodes[name]
	a.mu.Unlock()
	if n.Hang {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(n.Status)
	fmt.Fprintf(w, "%s: %d\n", name, n.Status)
}

func (a *App) control(w http.ResponseWriter, r *http.Request) {
	name, q, n := r.PathValue("node"), r.URL.Query(), Node{Status: http.StatusOK}
	var err error
	if s := q.Get("hang"); s != "" {
		n.Hang, err = strconv.ParseBool(s)
	}
	if s := q.Get("status"); s != "" && err == nil {
		n.Status, err = strconv.Atoi(s)
		if err == nil && (n.Status < 200 || n.Status > 599) {
			err = fmt.Errorf("status %d is not from 200 to 599", n.Status)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !a.Set(name, n) {
		a.mu.Lock()
		known := slices.Sorted(maps.Keys(a.nodes))
		a.mu.Unlock()
		http.Error(w, fmt.Sprintf("no node %q; there are %s", name, strings.Join(known, ", ")), http.StatusNotFound)
		return
	}
	text := fmt.Sprintf("node %s answers %d", name, n.Status)
	if n.Hang {
		text = fmt.Sprintf("node %s hangs", name)
	}
	a.logf("%s", text)
	fmt.Fprintln(w, text)
}

func (a *App) other(w http.ResponseWriter, r *http.Request) {
	if s := r.URL.Query().Get("delay"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	text := fmt.Sprintf("application: %s %s", r.Method, r.URL.RequestURI())
	if xff := r.Header.Get("X-Forwarded-For"); xff != "" {
		text += " (X-Forwarded-For: " + xff + ")"
	}
	a.logf("%q", text) // quoted: the path and the header are whatever a client sent
	fmt.Fprintln(w, text)
}

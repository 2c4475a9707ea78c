// Package kube is as much of a Kubernetes API server as a control plane of Istio needs to run: it keeps custom
// resources and namespaces, lists them, and tells watchers about every change. All other lists are empty. It checks
// nothing; istioctl does that.
package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// Object is a Kubernetes object.
type Object = map[string]any

// Server is one API server.
type Server struct {
	t    testing.TB
	http *httptest.Server

	mu      sync.Mutex
	plurals map[string]string            // "extensions.istio.io/WasmPlugin" is "wasmplugins"
	objects map[string]map[string]Object // by path, "/apis/GROUP/VERSION/PLURAL", then by "NAMESPACE/NAME"
	events  []event                      // all that ever happened; its length is the latest resource version
	changed chan struct{}                // closed by the next event
}

type event struct {
	path string
	Type string `json:"type"` // ADDED, MODIFIED or DELETED
	Body Object `json:"object"`
}

// Start starts an API server that knows the custom resources of a file of CustomResourceDefinitions, and the
// namespaces. It ends with the test.
func Start(t testing.TB, definitions string, namespaces ...string) *Server {
	t.Helper()
	s := &Server{t: t, plurals: map[string]string{}, objects: map[string]map[string]Object{}, changed: make(chan struct{})}
	text := must.Get(os.ReadFile(definitions))(t)
	for _, crd := range Decode(t, text) {
		spec := crd["spec"].(Object)
		names := spec["names"].(Object)
		s.plurals[fmt.Sprint(spec["group"], "/", names["kind"])] = names["plural"].(string)
		s.put("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
	}
	for _, name := range namespaces {
		s.put("/api/v1/namespaces", Object{"apiVersion": "v1", "kind": "Namespace", "metadata": Object{"name": name}})
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.http.CloseClientConnections() // watchers never leave by themselves
		s.http.Close()
	})
	return s
}

// Kubeconfig writes a file with which clients find the server, and returns its path.
func (s *Server) Kubeconfig() string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "kubeconfig")
	config := Object{
		"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"clusters": []any{Object{"name": "lab", "cluster": Object{"server": s.http.URL}}},
		"contexts": []any{Object{"name": "lab", "context": Object{"cluster": "lab", "user": "lab"}}},
		"users":    []any{Object{"name": "lab", "user": Object{}}},
	}
	text := must.Get(json.Marshal(config))(s.t) // JSON is YAML
	must.Do(s.t, os.WriteFile(file, text, 0o600))
	return file
}

// Apply does what `kubectl apply -f` does with custom resources: it creates those that are not there, and replaces
// those that are. Other resources, such as a ConfigMap, no one here would look at: it returns them.
func (s *Server) Apply(manifests string) (others []Object) {
	s.t.Helper()
	for _, o := range Decode(s.t, []byte(manifests)) {
		group, version, _ := strings.Cut(fmt.Sprint(o["apiVersion"]), "/")
		plural, known := s.plurals[group+"/"+fmt.Sprint(o["kind"])]
		if !known {
			others = append(others, o)
			continue
		}
		if m := meta(o); m["namespace"] == nil {
			m["namespace"] = "default"
		}
		s.put("/apis/"+group+"/"+version+"/"+plural, o)
	}
	return others
}

// Decode reads the objects of a file of manifests.
func Decode(t testing.TB, manifests []byte) []Object {
	t.Helper()
	var out []Object
	documents := yaml.NewDecoder(bytes.NewReader(manifests))
	for {
		var o Object
		err := documents.Decode(&o)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("manifest: %v", err)
		}
		if o != nil { // a document of comments only
			out = append(out, o)
		}
	}
}

func meta(o Object) Object {
	if _, is := o["metadata"].(Object); !is {
		o["metadata"] = Object{}
	}
	return o["metadata"].(Object)
}

func (s *Server) put(path string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := meta(o)
	key := fmt.Sprint(m["namespace"], "/", m["name"])
	if s.objects[path] == nil {
		s.objects[path] = map[string]Object{}
	}
	kind := "ADDED"
	if _, there := s.objects[path][key]; there {
		kind = "MODIFIED"
	}
	version := len(s.events) + 1
	m["uid"] = path + "/" + key
	m["resourceVersion"] = strconv.Itoa(version)
	m["generation"] = version
	m["creationTimestamp"] = "2026-01-01T00:00:00Z"
	s.objects[path][key] = o
	s.events = append(s.events, event{path, kind, o})
	close(s.changed)
	s.changed = make(chan struct{})
}

// since returns the events after a resource version, and what is closed when there are more.
func (s *Server) since(version int) ([]event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[min(version, len(s.events)):], s.changed
}

// list returns what there is at a path, and the resource version of that state.
func (s *Server) list(path string) (items []Object, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items = []Object{}
	for _, o := range s.objects[path] {
		items = append(items, o)
	}
	return items, len(s.events)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case r.Method != http.MethodGet:
		// What a control plane writes, the status of a resource for example, nobody reads here.
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	case r.URL.Path == "/version":
		reply(w, http.StatusOK, Object{"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
	case r.URL.Path == "/api", r.URL.Path == "/apis":
		reply(w, http.StatusOK, Object{})
	case query.Has("watch"):
		version, _ := strconv.Atoi(query.Get("resourceVersion"))
		s.watch(w, r, version)
	case isList(r.URL.Path):
		items, version := s.list(r.URL.Path)
		body := Object{"metadata": Object{"resourceVersion": strconv.Itoa(version)}, "items": items}
		if asMetadata(r) {
			body["kind"], body["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
		}
		reply(w, http.StatusOK, body)
	default:
		reply(w, http.StatusNotFound, Object{"kind": "Status", "apiVersion": "v1", "status": "Failure",
			"reason": "NotFound", "code": 404})
	}
}

// isList reports whether a path is a list's, and not one object's: /api/v1/PLURAL, /apis/GROUP/VERSION/PLURAL, or the
// same with namespaces/NAME before PLURAL.
func isList(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	root := 3
	if parts[0] == "api" {
		root = 2
	}
	n := len(parts) - root
	return n == 1 || n == 3 && parts[root] == "namespaces"
}

func asMetadata(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, version int) {
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	for {
		_ = http.NewResponseController(w).Flush() // fails when the watcher has left, which the context tells
		events, more := s.since(version)
		for _, e := range events {
			if e.path != r.URL.Path {
				continue
			}
			if asMetadata(r) {
				e.Body = Object{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": e.Body["metadata"]}
			}
			if err := out.Encode(e); err != nil {
				return
			}
		}
		version += len(events)
		if len(events) > 0 {
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-more:
		}
	}
}

func reply(w http.ResponseWriter, status int, body Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

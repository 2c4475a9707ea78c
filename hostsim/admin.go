package hostsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"sync"
)

// AdminEndpoint is Envoy's admin endpoint, as far as health checking needs it: the
// runtime with one admin layer, readiness, and the plugin's stats. It is an
// http.Handler, and its methods are safe for concurrent use, also from handlers.
type AdminEndpoint struct {
	host     *Host
	mux      *http.ServeMux
	mu       sync.Mutex
	runtime  map[string]string
	failed   bool
	answerer http.Handler
}

// runtimeLayer is the name of the only layer.
const runtimeLayer = "admin"

func newAdmin(h *Host) *AdminEndpoint {
	a := &AdminEndpoint{host: h, mux: http.NewServeMux(), runtime: make(map[string]string)}
	a.mux.HandleFunc("/runtime", a.serveRuntime)
	a.mux.HandleFunc("/runtime_modify", a.serveRuntimeModify)
	a.mux.HandleFunc("/ready", a.serveReady)
	a.mux.HandleFunc("/server_info", a.serveServerInfo)
	a.mux.HandleFunc("/healthcheck/fail", a.serveHealthcheck(true))
	a.mux.HandleFunc("/healthcheck/ok", a.serveHealthcheck(false))
	a.mux.HandleFunc("/stats", a.serveStats)
	return a
}

// SetRuntime sets a runtime key; an empty value deletes it, as in /runtime_modify.
func (a *AdminEndpoint) SetRuntime(key, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if value == "" {
		delete(a.runtime, key)
	} else {
		a.runtime[key] = value
	}
}

// SetDraining is /healthcheck/fail and /healthcheck/ok: /ready answers 503 DRAINING.
func (a *AdminEndpoint) SetDraining(draining bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = draining
}

// SetHandler lets handler answer in place of the endpoint, to imitate a broken admin endpoint. With nil the endpoint
// answers again.
func (a *AdminEndpoint) SetHandler(handler http.Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answerer = handler
}

// ServeHTTP answers as Envoy does.
func (a *AdminEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	handler := a.answerer
	a.mu.Unlock()
	if handler == nil {
		handler = a.mux
	}
	handler.ServeHTTP(w, r)
}

func adminText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-cache, max-age=0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func adminJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		adminText(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, max-age=0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // a client that left is no concern of the host's
}

func (a *AdminEndpoint) serveRuntime(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		FinalValue  string   `json:"final_value"`
		LayerValues []string `json:"layer_values"`
	}
	a.mu.Lock()
	entries := make(map[string]entry, len(a.runtime))
	for k, v := range a.runtime {
		entries[k] = entry{v, []string{v}}
	}
	a.mu.Unlock()
	adminJSON(w, struct {
		Layers  []string         `json:"layers"`
		Entries map[string]entry `json:"entries"`
	}{[]string{runtimeLayer}, entries})
}

func (a *AdminEndpoint) serveRuntimeModify(w http.ResponseWriter, r *http.Request) {
	if !postOnly(w, r) {
		return
	}
	q := r.URL.Query()
	if len(q) == 0 {
		adminText(w, http.StatusOK, "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n"+
			"       or send the parameters as form values\nuse an empty value to remove a previously added override")
		return
	}
	for k, vs := range q {
		a.SetRuntime(k, vs[len(vs)-1])
	}
	adminText(w, http.StatusOK, "OK\n")
}

func postOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		adminText(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return false
	}
	return true
}

func (a *AdminEndpoint) state() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed {
		return "DRAINING"
	}
	return "LIVE"
}

func (a *AdminEndpoint) serveReady(w http.ResponseWriter, _ *http.Request) {
	state, status := a.state(), http.StatusOK
	if state != "LIVE" {
		status = http.StatusServiceUnavailable
	}
	adminText(w, status, state+"\n")
}

func (a *AdminEndpoint) serveServerInfo(w http.ResponseWriter, _ *http.Request) {
	n := a.host.cfg.node
	adminJSON(w, map[string]any{"state": a.state(), "version": "hostsim/" + a.host.cfg.profile.String(),
		"node": map[string]any{"id": n.ID, "cluster": n.Cluster,
			"locality": map[string]string{"region": n.Region, "zone": n.Zone, "sub_zone": n.SubZone}}})
}

func (a *AdminEndpoint) serveHealthcheck(fail bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if postOnly(w, r) {
			a.SetDraining(fail)
			adminText(w, http.StatusOK, "OK\n")
		}
	}
}

// serveStats prints the plugin's metrics with the prefix of Envoy's for custom stats.
func (a *AdminEndpoint) serveStats(w http.ResponseWriter, r *http.Request) {
	filter, err := regexp.Compile(r.URL.Query().Get("filter"))
	if err != nil {
		adminText(w, http.StatusBadRequest, "Invalid re2 regex")
		return
	}
	var lines []string
	for _, m := range a.host.Metrics() {
		name := m.Name
		if !strings.HasPrefix(name, "wasm.") {
			name = "wasmcustom." + name
		}
		if !filter.MatchString(name) {
			continue
		}
		if m.Samples != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", name, m.Samples))
		} else {
			lines = append(lines, fmt.Sprintf("%s: %d", name, m.Value))
		}
	}
	sort.Strings(lines)
	text := strings.Join(lines, "\n")
	if text != "" {
		text += "\n"
	}
	adminText(w, http.StatusOK, text)
}

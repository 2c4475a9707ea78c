package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// pluginName is in Envoy's log, before what the plugin says.
const pluginName = "p"

// echo answers with what it got, so that the reply shows what an upstream saw.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var fields []string
	for name, vs := range r.Header {
		if name = strings.ToLower(name); name != "x-request-id" {
			fields = append(fields, name+"="+strings.Join(vs, ";"))
		}
	}
	sort.Strings(fields)
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s %s %s %q", r.Method, r.URL.RequestURI(), r.Host, strings.Join(fields, " "), body)
})

// The upstreams with something wrong with them, beside application and backend.
const (
	down   = "down"   // has no host
	closed = "closed" // refuses connections
	silent = "silent" // never answers
	abort  = "abort"  // breaks off
)

// settle is how long a case is watched after its reply.
const settle = 300 * time.Millisecond

// simulate plays a case on hostsim, and counts the plugin's host calls.
func simulate(wasm []byte, p hostsim.Profile, c testCase, calls map[string]int) (outcome, error) {
	host, err := hostsim.New(wasm, p, hostsim.PluginConfig(c.Script), hostsim.PluginName(pluginName),
		hostsim.Node{ID: "n1", Cluster: "c1"}, hostsim.Application(echo), hostsim.Upstream("backend", echo),
		hostsim.Upstream(down, nil), hostsim.Upstream(silent, echo), hostsim.Upstream(closed, echo), hostsim.Upstream(abort, echo))
	if err != nil {
		return outcome{}, err
	}
	defer host.Close()
	host.FaultAllCallouts(silent, &hostsim.CalloutFault{Kind: hostsim.CalloutNever})
	host.FaultAllCallouts(closed, &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure})
	host.FaultAllCallouts(abort, &hostsim.CalloutFault{Kind: hostsim.CalloutReset})
	trace := host.Trace()
	r := host.Worker(0).Do(&hostsim.Request{Method: c.Request.Method, Path: c.Request.Path, Authority: c.Request.Host,
		Header: c.Request.Headers, Body: []byte(c.Request.Body), RouteName: "route",
		RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true, "n": 2, "l": []any{"a", "b"},
			"s": map[string]any{"k": "v"}}}})
	host.Advance(settle)
	for _, e := range trace.Events() {
		if name, _, ok := strings.Cut(e.Text, "("); ok && (strings.HasPrefix(name, "proxy_") || strings.HasPrefix(name, "> proxy_")) {
			calls[strings.TrimPrefix(name, "> ")]++
		}
	}
	var fields []string
	for _, f := range r.Header {
		fields = append(fields, f[0]+"="+f[1])
	}
	reply := render(r.Status, fields, r.Body, r.Reset)
	var logs []string
	for _, e := range host.Logs() {
		if e.Thread == "worker 0" {
			logs = append(logs, e.Message)
		}
	}
	return outcome{reply, normalize(logs)}, nil
}

// render is a reply on one line.
func render(status int, fields []string, body []byte, reset bool) string {
	if status == 0 {
		return "a reset"
	}
	var kept []string
	for _, f := range fields {
		name, _, _ := strings.Cut(f, "=")
		if name != "date" && name != "x-envoy-upstream-service-time" {
			kept = append(kept, f)
		}
	}
	sort.Strings(kept)
	text := fmt.Sprintf("%d %v %q", status, kept, body)
	if reset {
		text += " and a reset"
	}
	return text
}

// What no two runs have in common.
var (
	dates = regexp.MustCompile(`date=[A-Z][a-z]{2}, .{20} GMT`)
	times = regexp.MustCompile(`x-envoy-upstream-service-time=\d+`)
)

// normalize takes clocks out, and what follows a panic: a stack, piece by piece.
func normalize(logs []string) []string {
	var kept []string
	for _, l := range logs {
		if strings.HasPrefix(l, "Function: ") {
			continue // the engine's own words
		}
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			return append(kept, "panic")
		}
		l = dates.ReplaceAllString(l, "date=DATE")
		kept = append(kept, times.ReplaceAllString(l, "x-envoy-upstream-service-time=N"))
	}
	return kept
}

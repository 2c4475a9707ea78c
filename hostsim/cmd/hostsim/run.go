package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"

	"github.com/healthgate/healthgate/hostsim"
)

// application is the name under which a scenario answers for what is behind the
// plugin.
const application = "application"

// server is an upstream of a scenario.
type server struct {
	mu       sync.Mutex
	response response
}

func (s *server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	r := s.response
	s.mu.Unlock()
	for name, value := range r.Headers {
		w.Header().Set(name, value)
	}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	w.WriteHeader(r.Status)
	_, _ = io.WriteString(w, r.Body) // a client that left is no concern of the scenario's
}

// runScenarios plays files one by one.
func runScenarios(paths []string, stdout io.Writer) error {
	if len(paths) == 0 || strings.HasPrefix(paths[0], "-") {
		return usageError{errors.New("run needs the name of a scenario; see hostsim --help")}
	}
	failed := false
	for _, path := range paths {
		s, err := loadScenario(path)
		if err != nil {
			return usageError{err}
		}
		problems, err := s.play()
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", path, err)}
		}
		for _, p := range problems {
			fmt.Fprintf(stdout, "%s: %s\n", path, p)
		}
		if len(problems) > 0 {
			failed = true
			continue
		}
		fmt.Fprintf(stdout, "%s: ok, %d steps\n", path, len(s.Steps))
	}
	if failed {
		return errFailed
	}
	return nil
}

// play returns what was not as expected.
func (s *scenario) play() (problems []string, err error) {
	wasm, err := os.ReadFile(s.Wasm)
	if err != nil {
		return nil, err
	}
	servers := make(map[string]*server)
	for name, r := range s.Upstreams {
		servers[name] = &server{response: r}
	}
	opts, err := s.options(servers)
	if err != nil {
		return nil, err
	}
	host, err := hostsim.New(wasm, opts...)
	if s.LoadError != "" {
		if err == nil {
			host.Close()
			return []string{"the plugin was loaded, and should have been refused"}, nil
		}
		if !strings.Contains(err.Error(), s.LoadError) {
			problems = append(problems, fmt.Sprintf("refused with %q, want %q in it", err, s.LoadError))
		}
		return problems, nil
	}
	if err != nil {
		return nil, err
	}
	defer host.Close()
	p := &player{host: host, servers: servers}
	for key, value := range s.Runtime {
		host.Admin().SetRuntime(key, value)
	}
	if err := p.setUpstreams(s.Upstreams); err != nil {
		return nil, err
	}
	for i, st := range s.Steps {
		name := fmt.Sprintf("step %d", i+1)
		if st.Name != "" {
			name += " (" + st.Name + ")"
		}
		found, err := p.step(&st)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range found {
			problems = append(problems, name+": "+f)
		}
	}
	return problems, nil
}

// player is a scenario being played.
type player struct {
	host    *hostsim.Host
	servers map[string]*server
	logged  int // entries of the log before this step
}

func (p *player) setUpstreams(rs map[string]response) error {
	for name, r := range rs {
		srv := p.servers[name]
		if srv == nil {
			return fmt.Errorf("upstream %q is not among the scenario's upstreams", name)
		}
		kind, ok := faults[r.Fault]
		if !ok {
			return fmt.Errorf("upstream %q: no fault %q", name, r.Fault)
		}
		srv.mu.Lock()
		srv.response = r
		srv.mu.Unlock()
		p.host.FaultAllCallouts(name, &hostsim.CalloutFault{Kind: kind, Delay: r.Delay})
	}
	return nil
}

// step does one step, in the order of the fields, and checks it.
func (p *player) step(st *step) (problems []string, err error) {
	p.logged = len(p.host.Logs())
	for key, value := range st.Runtime {
		p.host.Admin().SetRuntime(key, value)
	}
	if st.Draining != nil {
		p.host.Admin().SetDraining(*st.Draining)
	}
	if err := p.setUpstreams(st.Upstream); err != nil {
		return nil, err
	}
	if st.Crash != nil {
		w, err := p.worker(*st.Crash)
		if err != nil {
			return nil, err
		}
		w.Crash()
	}
	p.host.JumpRealtime(st.Jump)
	p.host.Advance(st.Advance)
	if st.Request != nil {
		w, err := p.worker(st.Request.Worker)
		if err != nil {
			return nil, err
		}
		problems = st.Expect.check(w.Do(st.Request.build()))
	} else if st.Expect != nil {
		return nil, errors.New("expect without a request")
	}
	return append(problems, p.checkRest(st)...), nil
}

func (p *player) worker(i int) (*hostsim.Worker, error) {
	if i < 0 || i >= p.host.Workers() {
		return nil, fmt.Errorf("no worker %d", i)
	}
	return p.host.Worker(i), nil
}

// checkRest looks at metrics, and at what was logged in this step.
func (p *player) checkRest(st *step) (problems []string) {
	if why := p.host.Crashed(); why != "" {
		problems = append(problems, "an Envoy would have crashed: "+why)
	}
	for name, want := range st.Metrics {
		if got, _ := p.host.Metric(name); got != want {
			problems = append(problems, fmt.Sprintf("metric %s is %d, want %d", name, got, want))
		}
	}
	sort.Strings(problems)
	var text strings.Builder
	for _, e := range p.host.Logs()[p.logged:] {
		text.WriteString(e.Message + "\n")
	}
	for _, want := range st.Log {
		if !strings.Contains(text.String(), want) {
			problems = append(problems, fmt.Sprintf("nothing logged with %q in it", want))
		}
	}
	return problems
}

func (r *request) build() *hostsim.Request {
	req := &hostsim.Request{Method: r.Method, Authority: r.Host, Path: r.Path, Peer: r.Peer, Body: []byte(r.Body),
		FilterState: r.FilterState, RouteMetadata: r.RouteMetadata}
	names := make([]string, 0, len(r.Headers))
	for name := range r.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		req.Header = append(req.Header, [2]string{name, r.Headers[name]})
	}
	return req
}

// check compares a reply; a nil expectation takes any.
func (e *expectation) check(r *hostsim.Reply) (problems []string) {
	if e == nil {
		return nil
	}
	differ := func(what string, got, want any) {
		problems = append(problems, fmt.Sprintf("%s is %#v, want %#v", what, got, want))
	}
	if e.Status != 0 && r.Status != e.Status {
		differ("status", r.Status, e.Status)
	}
	if e.Body != nil && string(r.Body) != *e.Body {
		differ("body", string(r.Body), *e.Body)
	}
	if e.Details != nil && r.Details != *e.Details {
		differ("details", r.Details, *e.Details)
	}
	if e.Forwarded != nil && r.Forwarded != *e.Forwarded {
		differ("forwarded", r.Forwarded, *e.Forwarded)
	}
	names := make([]string, 0, len(e.Headers))
	for name := range e.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if got := r.Header.Get(name); got != e.Headers[name] {
			differ("header "+name, got, e.Headers[name])
		}
	}
	return problems
}

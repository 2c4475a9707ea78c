package conformance

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// run is a case on Envoy.
type run struct {
	c            *Case
	want, got    []string // what hostsim and Envoy showed
	ports        []int    // of its listeners
	listeners    *listeners
	module       string         // the plugin's file
	updates      int            // how many there were
	async        sync.WaitGroup // the requests that are not waited for
	app, backend *server
	turns        *turns
	journal      *journal

	mu      sync.Mutex
	replies []*clientReply
}

func newRun(t testing.TB, c *Case, want []string) *run {
	t.Helper()
	turns := newTurns()
	r := &run{c: c, want: want, turns: turns, app: startServer(t, c.silent("application"), turns)}
	for range c.listeners() {
		r.ports = append(r.ports, must.Port(t))
	}
	if c.Grpc {
		r.backend = startGrpc(t)
	} else {
		r.backend = startServer(t, c.silent("backend"), turns)
	}
	turns.seen = func(pieces int) {
		const body = "response_body("
		r.wait(time.Second, func() bool { return r.journal.count(c.slug(), body) >= pieces }) // a callout's has none
	}
	return r
}

// play does the case's steps and waits until Envoy has shown what hostsim did, or long enough to say it will not.
func (r *run) play(t testing.TB) {
	r.journal.update()
	if r.c.Policy == "reload" {
		time.Sleep(time.Until(r.journal.began.Add(backOff)))
	}
	if !r.result().refused {
		for _, step := range r.c.Steps {
			r.step(t, step)
		}
	}
	if !r.c.Shutdown { // that comes after the steps of all
		r.async.Wait()
		r.wait(envoytest.Limit, r.asWanted)
	}
}

// asWanted reports whether Envoy has shown what hostsim did, but for listed differences.
func (r *run) asWanted() bool {
	v, _ := judge(r.c.Name, r.want, r.c.lines(r.result()))
	return v != different
}

// wanted is how many of the lines that hostsim showed have a text.
func (r *run) wanted(text string) int {
	n := 0
	for _, line := range r.want {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// wait reports whether the condition came to hold.
func (r *run) wait(limit time.Duration, condition func() bool) bool {
	poll := time.NewTicker(fresh)
	defer poll.Stop()
	for end := time.Now().Add(limit); !condition(); <-poll.C {
		if time.Now().After(end) || r.journal.gone() {
			return false
		}
	}
	return true
}

func (r *run) step(t testing.TB, step Step) {
	slug := r.c.slug()
	switch {
	case step.Request != nil:
		reply := &clientReply{}
		r.replies = append(r.replies, reply)
		if step.Leave != "" {
			r.leave(t, &step)
			*reply = clientReply{reset: true}
			r.logged(len(r.replies))
			return
		}
		if !step.Async {
			r.exchange(t, step.Request, reply, r.answerLimit(len(r.replies)))
			r.logged(len(r.replies))
			return
		}
		before := r.journal.count(slug, "request_headers(")
		limit := r.answerLimit(len(r.replies))
		r.async.Go(func() { r.exchange(t, step.Request, reply, limit) })
		r.wait(envoytest.Limit, func() bool { return r.journal.count(slug, "request_headers(") > before })
	case step.Until != nil:
		reply := &clientReply{}
		if !r.wait(envoytest.Limit, func() bool {
			r.exchange(t, step.untilRequest(), reply, envoytest.Limit)
			return reply.status == step.Status
		}) {
			t.Errorf("%s: no answer %d came, the last was %d", r.c.Name, step.Status, reply.status)
		}
	case step.Await != "":
		if !r.wait(envoytest.Limit, func() bool { return r.journal.count(slug, step.Await) > 0 }) {
			t.Errorf("%s: the log never had %q", r.c.Name, step.Await)
		}
	case step.Post != "":
		r.journal.envoy.Post(r.c.action(&step, time.Now()))
	case step.Update:
		r.updates++
		r.listeners.update(t, r)
	case step.Drained:
		r.wait(envoytest.Limit, func() bool { return r.journal.count(slug, "delete(1)") >= r.wanted("delete(1)") })
	case step.Turn != "":
		r.turns.set(step.Turn, step.Status)
	}
}

// leave sends a request, and closes the connection when the plugin has come far enough.
func (r *run) leave(t testing.TB, step *Step) {
	conn, err := net.Dial("tcp", envoytest.Loopback(r.ports[step.Request.Listener]))
	if err != nil {
		t.Errorf("%s: %v", r.c.Name, err)
		return
	}
	before := r.journal.count(r.c.slug(), step.Leave)
	if _, err := conn.Write([]byte(strings.Join(step.Request.pieces(), ""))); err != nil {
		t.Errorf("%s: %v", r.c.Name, err)
	}
	if !r.wait(envoytest.Limit, func() bool { return r.journal.count(r.c.slug(), step.Leave) > before }) {
		t.Errorf("%s: the log never had %q", r.c.Name, step.Leave)
	}
	_ = conn.Close()
}

// logged waits until so many streams are over, if so many end: what a stream does last, it does after the client has
// its answer.
func (r *run) logged(streams int) {
	streams = min(streams, r.wanted("access log "))
	r.wait(envoytest.Limit, func() bool { return len(r.result().details) >= streams })
}

// answerLimit is how long to wait for an answer: not long if none came in hostsim.
func (r *run) answerLimit(reply int) time.Duration {
	what := fmt.Sprintf("reply %d", reply)
	switch {
	case slices.Contains(r.want, what+" is cut off"): // with a length, it may be that the rest never comes
		return 10 * time.Second
	case slices.Contains(r.want, what+": 0"), slices.Equal(r.want, []string{theEnd}): // it may hang in its end
		return 4 * time.Second
	}
	return envoytest.Limit
}

func (r *run) exchange(t testing.TB, request *Request, reply *clientReply, limit time.Duration) {
	const body = "request_body("
	before := r.journal.count(r.c.slug(), body)
	m, err := exchange(envoytest.Loopback(r.ports[request.Listener]), request, limit, func(piece int) {
		patience := time.Second // for a plugin that does not say what it gets
		if r.wanted(body) >= before+piece {
			patience = envoytest.Limit
		}
		r.wait(patience, func() bool { return r.journal.count(r.c.slug(), body) >= before+piece })
	})
	if err != nil {
		t.Errorf("%s: %v", r.c.Name, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	*reply = clientReply{statusOf(m), m.header, m.body, m.trailer, m.cut}
}

// result is what the case has shown so far.
func (r *run) result() *result {
	out := &result{crashed: r.journal.gone(), app: r.seen(r.app), backend: r.seen(r.backend)}
	r.journal.fill(out, r.c)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reply := range r.replies {
		out.replies = append(out.replies, *reply)
	}
	return out
}

func (r *run) seen(s *server) []seen {
	var out []seen
	for _, m := range s.requests() {
		if _, ok := m.get(waiting); ok {
			continue
		}
		method, path := requestLine(m)
		host, _ := m.get("host")
		u := seen{line: method + " " + path + " " + host, body: m.body, trailer: m.trailer}
		for _, f := range m.header {
			if f[0] != "host" {
				u.header = append(u.header, f)
			}
		}
		out = append(out, u)
	}
	return out
}

func metric(name string, value uint64) string { return fmt.Sprintf("%s: %d", name, value) }

// details is an entry of the access log.
func details(status, flags, details string) string {
	return fmt.Sprintf("%s %s %s", status, flags, details)
}

package conformance

import (
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// reply is what an upstream answers.
type reply struct {
	status  int
	header  [][2]string
	body    string
	pieces  int // that the body is sent in, each when the plugin has seen the one before
	trailer [][2]string
	abort   bool // close the connection in place of an answer
	cut     bool // close it in the midst of the body
}

// turns are the statuses that a case has told its upstreams to answer with, by path.
type turns struct {
	mu     sync.Mutex
	status map[string]int
	seen   func(pieces int) // waits until the plugin has seen so many of a response's body
}

func newTurns() *turns { return &turns{status: map[string]int{}} }

func (t *turns) set(path string, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status[path] = status
}

// answer is that of an upstream which may have been told a status.
func (t *turns) answer(method, path, body string) reply {
	r := answer(method, path, body)
	path, _, _ = strings.Cut(path, "?")
	t.mu.Lock()
	defer t.mu.Unlock()
	if status := t.status[path]; status != 0 {
		r.status = status
	}
	return r
}

// answer is how each upstream behaves. The path of the request says so.
func answer(method, path, body string) reply {
	path, _, _ = strings.Cut(path, "?")
	text := [][2]string{{"content-type", "text/plain"}}
	r := reply{status: 200, header: text, body: "application"}
	word, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch word {
	case "status":
		r.status, _ = strconv.Atoi(rest)
		r.body = "status " + rest
	case "echo":
		r.body = method + " " + path + " " + body
	case "fields":
		r.header = [][2]string{{"content-type", "text/html"}, {"empty", ""}, {"set-cookie", "a=1"}, {"set-cookie", "b=2"},
			{"x", "1"}, {"x", "2"}}
	case "bytes":
		r.body = "\x02"
	case "secret":
		r.body = "a secret"
	case "empty":
		r.body = ""
	case "none":
		r.status, r.body, r.header = 204, "", nil
	case "trailers":
		r.trailer = [][2]string{{"checksum", "c0ffee"}, {"x-end", "yes"}}
	case "big":
		n, _ := strconv.Atoi(rest)
		r.body = strings.Repeat("x", n)
	case "pieces":
		r.body, r.pieces = "first second third", 3
	case "reset":
		r.abort = true
	case "cut":
		r.cut = true
	}
	return r
}

// bodiless is whether a response has no body, whatever its fields say.
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == 204 || status == 304
}

// fields is the head in the order in which hostsim's upstreams send it.
func (r *reply) fields(method string) [][2]string {
	fields := append([][2]string(nil), r.header...)
	if r.cut { // its handler sets the length itself
		fields = append(fields, [2]string{"content-length", strconv.Itoa(len(r.body))})
	}
	sort.SliceStable(fields, func(i, j int) bool { return fields[i][0] < fields[j][0] })
	fields = append(fields, [2]string{"date", "Thu, 01 Jan 1970 00:00:00 GMT"})
	switch {
	case len(r.trailer) > 0 || r.pieces > 0:
		fields = append(fields, [2]string{"transfer-encoding", "chunked"})
	case !r.cut && !bodiless(method, r.status):
		fields = append(fields, [2]string{"content-length", strconv.Itoa(len(r.body))})
	}
	return fields
}

// ServeHTTP is an upstream for hostsim.
func (t *turns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := new(strings.Builder)
	buf := make([]byte, 4096)
	for {
		n, err := r.Body.Read(buf)
		body.Write(buf[:n])
		if err != nil {
			break
		}
	}
	a := t.answer(r.Method, r.RequestURI, body.String())
	if a.abort {
		panic(http.ErrAbortHandler)
	}
	for _, f := range a.header {
		w.Header().Add(f[0], f[1])
	}
	for _, f := range a.trailer {
		w.Header().Add(http.TrailerPrefix+f[0], f[1])
	}
	if a.cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	switch {
	case a.cut:
		_, _ = w.Write([]byte(a.body[:len(a.body)/2])) // into memory
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case a.pieces > 0:
		for piece := range strings.SplitAfterSeq(a.body, " ") {
			_, _ = w.Write([]byte(piece))
			w.(http.Flusher).Flush()
		}
	case !bodiless(r.Method, a.status):
		_, _ = w.Write([]byte(a.body))
	}
}

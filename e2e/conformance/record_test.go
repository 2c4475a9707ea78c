package conformance

import (
	"regexp"
	"sync"
)

// recording takes hostsim's trace of a case, and keeps which callbacks and host calls are in it.
type recording struct {
	mu    sync.Mutex
	calls map[string]int
}

var tracedCall = regexp.MustCompile(`(?:> )?(proxy_\w+)\(`)

// Write takes one line of the trace.
func (r *recording) Write(line []byte) (int, error) {
	if m := tracedCall.FindSubmatch(line); m != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls == nil {
			r.calls = map[string]int{}
		}
		r.calls[string(m[1])]++
	}
	return len(line), nil
}

// recordings are those of all cases, by name.
type recordings struct {
	mu sync.Mutex
	of map[string]*recording
}

var traces = recordings{of: map[string]*recording{}}

func (r *recordings) add(name string, of *recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[name] = of
}

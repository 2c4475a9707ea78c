package hostsim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// maxShown bounds how much of a string the trace shows.
const maxShown = 256

// Trace is a record of the calls between host and plugin, from Host.Trace until Stop.
type Trace struct {
	host *Host
	mu   sync.Mutex
	evs  []TraceEvent
}

// TraceEvent is one call.
type TraceEvent struct {
	Time   time.Duration // virtual time since the host's start
	Thread string
	// Depth is 0 for a call of the host, 1 for a host call in it, and so on.
	Depth int
	// Text is, for a call into the plugin,
	//
	//	> proxy_on_request_headers(2, 8, 1)
	//	< proxy_on_request_headers = 0
	//
	// around the calls that it made, and for a host call
	//
	//	proxy_get_property("request\x00path") = Ok "/"
	//	proxy_http_call("judge", …) = BadArgument (no cluster "judge"; there are: backend)
	Text string
}

// String is the event as one line, without the time.
func (e TraceEvent) String() string {
	return "[" + e.Thread + "] " + strings.Repeat("  ", e.Depth) + e.Text
}

// Trace starts a record. Any number may run at a time.
func (h *Host) Trace() *Trace {
	t := &Trace{host: h}
	defer h.enter("")()
	h.traces = append(h.traces, t)
	return t
}

// Stop ends the record. Its events stay.
func (t *Trace) Stop() {
	defer t.host.enter("")()
	t.host.traces = slices.DeleteFunc(t.host.traces, func(other *Trace) bool { return other == t })
}

// Events returns the recorded calls.
func (t *Trace) Events() []TraceEvent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.evs)
}

// String returns the record, one event a line.
func (t *Trace) String() string {
	var b strings.Builder
	for _, e := range t.Events() {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Calls is how often each function was called, host calls and functions of the plugin alike: numbers for
// testing.B.ReportMetric. The plugin's allocator, malloc or proxy_on_memory_allocate, is among them: it is called for
// whatever the host hands out.
func (t *Trace) Calls() map[string]int {
	calls := make(map[string]int)
	for _, e := range t.Events() {
		if name, _, ok := strings.Cut(strings.TrimPrefix(e.Text, "> "), "("); ok && e.Text[0] != '<' {
			calls[name]++
		}
	}
	return calls
}

func (h *Host) tracing() bool { return len(h.traces) > 0 || h.cfg.traceTo != nil }

func (h *Host) traceLine(v *vm, depth int, text string) {
	e := TraceEvent{h.time.Elapsed(), v.threadName(), depth, text}
	for _, t := range h.traces {
		t.mu.Lock()
		t.evs = append(t.evs, e)
		t.mu.Unlock()
	}
	if h.cfg.traceTo != nil {
		fmt.Fprintf(h.cfg.traceTo, "%12.6f %s\n", e.Time.Seconds(), e)
	}
}

// traceEnter and traceExit write the lines before and after a call into the plugin. Depths count both kinds of call, so
// that calls caused by a host call are below it.
func (h *Host) traceEnter(v *vm, name string, args []uint64) {
	shown := make([]string, len(args))
	for i, a := range args {
		shown[i] = strconv.FormatUint(uint64(uint32(a)), 10)
	}
	h.traceLine(v, v.traceDepth, "> "+name+"("+strings.Join(shown, ", ")+")")
	v.traceDepth++
}

func (h *Host) traceExit(v *vm, name string, result uint32, returns bool, err error) {
	v.traceDepth--
	switch {
	case err != nil:
		h.traceLine(v, v.traceDepth, "< "+name+" trapped")
	case returns:
		h.traceLine(v, v.traceDepth, "< "+name+" = "+strconv.FormatUint(uint64(result), 10))
	default:
		h.traceLine(v, v.traceDepth, "< "+name)
	}
}

// traced makes a host call and writes its line. Arguments are read before the call, results after it.
func (v *vm) traced(f *wasm.Func, args []uint64) uint32 {
	a := append([]uint64(nil), args...)
	var in []string
	f.EachArg(func(kind rune, i int) {
		switch kind {
		case 's':
			in = append(in, shown(v, a[i], a[i+1]))
		case 'h':
			in = append(in, shownPairs(v, a[i], a[i+1]))
		case 'l':
			in = append(in, strconv.FormatInt(int64(a[i]), 10))
		case 'u':
			in = append(in, strconv.FormatUint(uint64(uint32(a[i])), 10))
		}
	})
	v.traceDepth++
	result := f.Fn(v.Instance, args)
	v.traceDepth--
	text := f.Name + "(" + strings.Join(in, ", ") + ")"
	switch {
	case f.Void:
	case f.Module == "env":
		text += " = " + status(result).String()
		if why := v.why(f.Name, a, status(result)); why != "" && !f.Any {
			text += " (" + why + ")"
		}
	default:
		text += " = " + strconv.Itoa(int(result))
	}
	if result == uint32(statusOK) {
		f.EachArg(func(kind rune, i int) {
			switch kind {
			case 'S', 'H':
				p, _ := v.Read32(a[i])
				n, _ := v.Read32(a[i+1])
				if kind == 'S' {
					text += " " + shown(v, uint64(p), uint64(n))
				} else {
					text += " " + shownPairs(v, uint64(p), uint64(n))
				}
			case 'U':
				x, _ := v.Read32(a[i])
				text += " " + strconv.FormatUint(uint64(x), 10)
			case 'L':
				var x uint64
				if b, ok := v.Bytes(a[i], 8); ok {
					x = binary.LittleEndian.Uint64(b)
				}
				text += " " + strconv.FormatUint(x, 10)
			}
		})
	}
	v.host.traceLine(v, v.traceDepth, text)
	return result
}

func shown(v *vm, ptr, size uint64) string {
	b, ok := v.Bytes(ptr, size)
	if !ok {
		return "out of bounds"
	}
	if len(b) > maxShown {
		return strconv.Quote(string(b[:maxShown])) + "… (" + strconv.Itoa(len(b)) + " bytes)"
	}
	return strconv.Quote(string(b))
}

func shownPairs(v *vm, ptr, size uint64) string {
	b, ok := v.Bytes(ptr, size)
	if !ok {
		return "out of bounds"
	}
	var fs []headers.Field
	if fs = pairs.Decode(b); len(fs) == 0 {
		return "{}"
	}
	parts := make([]string, len(fs))
	for i, f := range fs {
		parts[i] = f.Name + ": " + strconv.Quote(f.Value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

package main

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unsafe"
)

// keep holds what the host reads during a call.
var keep []string

// str is a string as pointer and length.
func str(s string) (p, n uint32) {
	keep = append(keep, s)
	return uint32(uintptr(unsafe.Pointer(unsafe.StringData(s)))), uint32(len(s))
}

// outString takes a string that the host hands out.
type outString struct{ p, n uint32 }

func (o *outString) ptr() uint32  { return uint32(uintptr(unsafe.Pointer(&o.p))) }
func (o *outString) size() uint32 { return uint32(uintptr(unsafe.Pointer(&o.n))) }

func (o *outString) String() string {
	if o.p == 0 || o.n == 0 {
		return ""
	}
	delete(pinned, o.p)
	return string(unsafe.Slice((*byte)(unsafe.Pointer(uintptr(o.p))), o.n))
}

type out32 struct{ v uint32 }

func (o *out32) ptr() uint32 { return uint32(uintptr(unsafe.Pointer(&o.v))) }

type out64 struct{ v uint64 }

func (o *out64) ptr() uint32 { return uint32(uintptr(unsafe.Pointer(&o.v))) }

// encode makes pairs of "name=value" lines.
func encode(text string) string {
	var fields [][2]string
	for _, l := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(l, "="); ok {
			fields = append(fields, [2]string{name, value})
		}
	}
	if len(fields) == 0 {
		return ""
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(fields)))
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f[0])))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f[1])))
	}
	for _, f := range fields {
		b = append(append(b, f[0]...), 0)
		b = append(append(b, f[1]...), 0)
	}
	return string(b)
}

// decode is the reverse, on one line.
func decode(s string) string {
	if len(s) < 4 {
		return "{}"
	}
	n := int(binary.LittleEndian.Uint32([]byte(s)))
	at := 4 + 8*n
	var parts []string
	for i := 0; i < n; i++ {
		name := int(binary.LittleEndian.Uint32([]byte(s[4+8*i:])))
		value := int(binary.LittleEndian.Uint32([]byte(s[8+8*i:])))
		parts = append(parts, s[at:at+name]+"="+s[at+name+1:at+name+1+value])
		at += name + value + 2
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// hostCall is a host call, with a letter for each of its arguments and results:
//
//	u  a number                   l  a 64-bit number
//	s  a string                   S  a string that comes out
//	h  a header map               H  a header map that comes out
//	U  a number that comes out    L  a 64-bit number that comes out
//	x  a number that comes out, and is not shown
type hostCall struct {
	sig string
	fn  func(a words) uint32
}

// words are the 32-bit arguments of a call, and long its 64-bit one.
type words []uint32

var long uint64

var hostCalls = map[string]hostCall{
	"log":                          {"us", func(a words) uint32 { return proxyLog(a[0], a[1], a[2]) }},
	"get_status":                   {"US", func(a words) uint32 { return proxyGetStatus(a[0], a[1], a[2]) }},
	"get_current_time_nanoseconds": {"L", func(a words) uint32 { return proxyGetCurrentTime(a[0]) }},
	"set_tick_period_milliseconds": {"u", func(a words) uint32 { return proxySetTickPeriod(a[0]) }},
	"set_effective_context":        {"u", func(a words) uint32 { return proxySetEffectiveContext(a[0]) }},
	"done":                         {"", func(a words) uint32 { return proxyDone() }},
	"get_property":                 {"sS", func(a words) uint32 { return proxyGetProperty(a[0], a[1], a[2], a[3]) }},
	"get_pairs_property":           {"sH", func(a words) uint32 { return proxyGetProperty(a[0], a[1], a[2], a[3]) }},
	"set_property":                 {"ss", func(a words) uint32 { return proxySetProperty(a[0], a[1], a[2], a[3]) }},
	"call_foreign_function": {"ssS", func(a words) uint32 {
		return proxyCallForeignFunction(a[0], a[1], a[2], a[3], a[4], a[5])
	}},
	"define_metric":    {"usU", func(a words) uint32 { return proxyDefineMetric(a[0], a[1], a[2], a[3]) }},
	"increment_metric": {"ul", func(a words) uint32 { return proxyIncrementMetric(a[0], int64(long)) }},
	"record_metric":    {"ul", func(a words) uint32 { return proxyRecordMetric(a[0], long) }},
	"get_metric":       {"uL", func(a words) uint32 { return proxyGetMetric(a[0], a[1]) }},
	"get_header_map_value": {"usS", func(a words) uint32 {
		return proxyGetHeaderMapValue(a[0], a[1], a[2], a[3], a[4])
	}},
	"add_header_map_value": {"uss", func(a words) uint32 {
		return proxyAddHeaderMapValue(a[0], a[1], a[2], a[3], a[4])
	}},
	"replace_header_map_value": {"uss", func(a words) uint32 {
		return proxyReplaceHeaderMapValue(a[0], a[1], a[2], a[3], a[4])
	}},
	"remove_header_map_value": {"us", func(a words) uint32 {
		return proxyRemoveHeaderMapValue(a[0], a[1], a[2])
	}},
	"get_header_map_pairs": {"uH", func(a words) uint32 { return proxyGetHeaderMapPairs(a[0], a[1], a[2]) }},
	"set_header_map_pairs": {"uh", func(a words) uint32 { return proxySetHeaderMapPairs(a[0], a[1], a[2]) }},
	"get_header_map_size":  {"uU", func(a words) uint32 { return proxyGetHeaderMapSize(a[0], a[1]) }},
	"get_buffer_bytes": {"uuuS", func(a words) uint32 {
		return proxyGetBufferBytes(a[0], a[1], a[2], a[3], a[4])
	}},
	"get_buffer_status": {"uUx", func(a words) uint32 { return proxyGetBufferStatus(a[0], a[1], a[2]) }},
	"set_buffer_bytes": {"uuus", func(a words) uint32 {
		return proxySetBufferBytes(a[0], a[1], a[2], a[3], a[4])
	}},
	"continue_stream": {"u", func(a words) uint32 { return proxyContinueStream(a[0]) }},
	"close_stream":    {"u", func(a words) uint32 { return proxyCloseStream(a[0]) }},
	"send_local_response": {"usshu", func(a words) uint32 {
		return proxySendLocalResponse(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7])
	}},
	"get_shared_data": {"sSU", func(a words) uint32 {
		return proxyGetSharedData(a[0], a[1], a[2], a[3], a[4])
	}},
	"set_shared_data": {"ssu", func(a words) uint32 {
		return proxySetSharedData(a[0], a[1], a[2], a[3], a[4])
	}},
	"register_shared_queue": {"sU", func(a words) uint32 { return proxyRegisterSharedQueue(a[0], a[1], a[2]) }},
	"resolve_shared_queue": {"ssU", func(a words) uint32 {
		return proxyResolveSharedQueue(a[0], a[1], a[2], a[3], a[4])
	}},
	"enqueue_shared_queue": {"us", func(a words) uint32 { return proxyEnqueueSharedQueue(a[0], a[1], a[2]) }},
	"dequeue_shared_queue": {"uS", func(a words) uint32 { return proxyDequeueSharedQueue(a[0], a[1], a[2]) }},
	"http_call": {"shshuU", func(a words) uint32 {
		return proxyHTTPCall(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9])
	}},
	"grpc_call": {"ssshsuU", func(a words) uint32 {
		return proxyGrpcCall(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11])
	}},
	"grpc_stream": {"ssshU", func(a words) uint32 {
		return proxyGrpcStream(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8])
	}},
	"grpc_send":   {"usu", func(a words) uint32 { return proxyGrpcSend(a[0], a[1], a[2], a[3]) }},
	"grpc_cancel": {"u", func(a words) uint32 { return proxyGrpcCancel(a[0]) }},
	"grpc_close":  {"u", func(a words) uint32 { return proxyGrpcClose(a[0]) }},
}

// call makes the line's host call. It returns the status, and what came out as text. In a raw_ call all arguments are
// just numbers, pointers that point nowhere among them, and nothing that comes out is shown.
func (l *line) call() (status uint32, text string) {
	name := strings.TrimPrefix(l.op, "raw_")
	call, known := hostCalls[name]
	if !known {
		panic("no such call: " + l.op)
	}
	if name != l.op {
		a := make(words, 12)
		for i := range a {
			a[i] = l.u(i)
		}
		return call.fn(a), ""
	}
	keep = keep[:0]
	var a words
	var results []func()
	next := 0 // of the line's arguments
	for _, kind := range call.sig {
		var p, n uint32
		switch kind {
		case 'u':
			a = append(a, l.u(next))
		case 'l':
			long = l.num(next)
		case 's':
			p, n = str(l.str(next))
			a = append(a, p, n)
		case 'h':
			p, n = str(encode(l.str(next)))
			a = append(a, p, n)
		case 'S', 'H':
			s := new(outString)
			a = append(a, s.ptr(), s.size())
			results = append(results, func() { text += s.shown(kind, status) })
		case 'U', 'x':
			o := new(out32)
			a = append(a, o.ptr())
			results = append(results, func() {
				if kind == 'U' && l.out != "" {
					vars[l.out] = uint64(o.v)
				}
				if kind == 'U' && status == 0 {
					text += " " + strconv.Itoa(int(o.v))
				}
			})
		case 'L':
			o := new(out64)
			a = append(a, o.ptr())
			results = append(results, func() {
				if status == 0 {
					text += " " + strconv.FormatUint(o.v, 10)
				}
			})
		}
		next++
	}
	status = call.fn(a)
	for _, show := range results {
		show()
	}
	return status, text
}

// shown is a string that came out, or a header map; nothing in the place of a string that did not.
func (o *outString) shown(kind rune, status uint32) string {
	switch {
	case kind == 'H':
		return " " + decode(o.String())
	case status != 0:
		return ""
	case o.p == 0:
		return ` "" null`
	}
	return " " + strconv.Quote(o.String())
}

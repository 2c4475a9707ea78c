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

// call makes the line's host call. It returns the status, and what came out as text.
func (l *line) call() (status uint32, text string) {
	keep = keep[:0]
	var s outString
	var n out32
	var w out64
	s2 := func(i int) (uint32, uint32) { return str(l.str(i)) }
	number := func() string {
		if l.out != "" {
			vars[l.out] = uint64(n.v)
		}
		if status != 0 {
			return ""
		}
		return " " + strconv.Itoa(int(n.v))
	}
	quoted := func() string {
		if status != 0 {
			return ""
		}
		null := ""
		if s.p == 0 {
			null = " null"
		}
		return " " + strconv.Quote(s.String()) + null
	}
	p0, n0 := s2(0)
	p1, n1 := s2(1)
	p2, n2 := s2(2)
	switch l.op {
	case "log":
		return proxyLog(l.u(0), p1, n1), ""
	case "get_status":
		status = proxyGetStatus(n.ptr(), s.ptr(), s.size())
		return status, number() + quoted()
	case "get_current_time_nanoseconds":
		status = proxyGetCurrentTime(w.ptr())
		return status, " " + strconv.FormatUint(w.v, 10)
	case "set_tick_period_milliseconds":
		return proxySetTickPeriod(l.u(0)), ""
	case "set_effective_context":
		return proxySetEffectiveContext(l.u(0)), ""
	case "done":
		return proxyDone(), ""
	case "get_property":
		status = proxyGetProperty(p0, n0, s.ptr(), s.size())
		return status, quoted()
	case "get_pairs_property":
		status = proxyGetProperty(p0, n0, s.ptr(), s.size())
		return status, " " + decode(s.String())
	case "set_property":
		return proxySetProperty(p0, n0, p1, n1), ""
	case "call_foreign_function":
		status = proxyCallForeignFunction(p0, n0, p1, n1, s.ptr(), s.size())
		return status, quoted()
	case "define_metric":
		status = proxyDefineMetric(l.u(0), p1, n1, n.ptr())
		return status, number()
	case "increment_metric":
		return proxyIncrementMetric(l.u(0), int64(l.num(1))), ""
	case "record_metric":
		return proxyRecordMetric(l.u(0), l.num(1)), ""
	case "get_metric":
		status = proxyGetMetric(l.u(0), w.ptr())
		if status == 0 {
			text = " " + strconv.FormatUint(w.v, 10)
		}
		return status, text
	case "get_header_map_value":
		status = proxyGetHeaderMapValue(l.u(0), p1, n1, s.ptr(), s.size())
		return status, quoted()
	case "add_header_map_value":
		return proxyAddHeaderMapValue(l.u(0), p1, n1, p2, n2), ""
	case "replace_header_map_value":
		return proxyReplaceHeaderMapValue(l.u(0), p1, n1, p2, n2), ""
	case "remove_header_map_value":
		return proxyRemoveHeaderMapValue(l.u(0), p1, n1), ""
	case "get_header_map_pairs":
		status = proxyGetHeaderMapPairs(l.u(0), s.ptr(), s.size())
		return status, " " + decode(s.String())
	case "set_header_map_pairs":
		p, n := str(encode(l.str(1)))
		return proxySetHeaderMapPairs(l.u(0), p, n), ""
	case "get_header_map_size":
		status = proxyGetHeaderMapSize(l.u(0), n.ptr())
		return status, number()
	case "get_buffer_bytes":
		status = proxyGetBufferBytes(l.u(0), l.u(1), l.u(2), s.ptr(), s.size())
		return status, quoted()
	case "get_buffer_status":
		var flags out32
		status = proxyGetBufferStatus(l.u(0), n.ptr(), flags.ptr())
		return status, number()
	case "set_buffer_bytes":
		p, m := s2(3)
		return proxySetBufferBytes(l.u(0), l.u(1), l.u(2), p, m), ""
	case "continue_stream":
		return proxyContinueStream(l.u(0)), ""
	case "close_stream":
		return proxyCloseStream(l.u(0)), ""
	case "send_local_response":
		hp, hn := str(encode(l.str(3)))
		return proxySendLocalResponse(l.u(0), p1, n1, p2, n2, hp, hn, l.u(4)), ""
	default:
		return l.callShared(&s, &n, number, quoted)
	}
}

// callShared is shared data, queues, callouts and calls with raw arguments.
func (l *line) callShared(s *outString, n *out32, number, quoted func() string) (status uint32, text string) {
	p0, n0 := str(l.str(0))
	p1, n1 := str(l.str(1))
	result := func(st uint32, f func() string) (uint32, string) {
		if st != 0 {
			return st, ""
		}
		return st, f()
	}
	switch l.op {
	case "get_shared_data":
		return result(proxyGetSharedData(p0, n0, s.ptr(), s.size(), n.ptr()), func() string {
			return quoted() + number()
		})
	case "set_shared_data":
		return proxySetSharedData(p0, n0, p1, n1, l.u(2)), ""
	case "register_shared_queue":
		return result(proxyRegisterSharedQueue(p0, n0, n.ptr()), number)
	case "resolve_shared_queue":
		return result(proxyResolveSharedQueue(p0, n0, p1, n1, n.ptr()), number)
	case "enqueue_shared_queue":
		return proxyEnqueueSharedQueue(l.u(0), p1, n1), ""
	case "dequeue_shared_queue":
		return result(proxyDequeueSharedQueue(l.u(0), s.ptr(), s.size()), quoted)
	case "http_call":
		hp, hn := str(encode(l.str(1)))
		bp, bn := str(l.str(2))
		tp, tn := str(encode(l.str(3)))
		return result(proxyHTTPCall(p0, n0, hp, hn, bp, bn, tp, tn, l.u(4), n.ptr()), number)
	case "grpc_call":
		mp, mn := str(l.str(2))
		ip, in := str(encode(l.str(3)))
		bp, bn := str(l.str(4))
		return result(proxyGrpcCall(p0, n0, p1, n1, mp, mn, ip, in, bp, bn, l.u(5), n.ptr()), number)
	case "grpc_stream":
		mp, mn := str(l.str(2))
		ip, in := str(encode(l.str(3)))
		return result(proxyGrpcStream(p0, n0, p1, n1, mp, mn, ip, in, n.ptr()), number)
	case "grpc_send":
		return proxyGrpcSend(l.u(0), p1, n1, l.u(2)), ""
	case "grpc_cancel":
		return proxyGrpcCancel(l.u(0)), ""
	case "grpc_close":
		return proxyGrpcClose(l.u(0)), ""
	}
	return l.raw()
}

// raw is a call whose arguments are just numbers, pointers that point nowhere among
// them.
func (l *line) raw() (uint32, string) {
	u := l.u
	switch l.op {
	case "raw_log":
		return proxyLog(u(0), u(1), u(2)), ""
	case "raw_get_property":
		return proxyGetProperty(u(0), u(1), u(2), u(3)), ""
	case "raw_set_property":
		return proxySetProperty(u(0), u(1), u(2), u(3)), ""
	case "raw_get_shared_data":
		return proxyGetSharedData(u(0), u(1), u(2), u(3), u(4)), ""
	case "raw_set_shared_data":
		return proxySetSharedData(u(0), u(1), u(2), u(3), u(4)), ""
	case "raw_get_header_map_value":
		return proxyGetHeaderMapValue(u(0), u(1), u(2), u(3), u(4)), ""
	case "raw_get_header_map_pairs":
		return proxyGetHeaderMapPairs(u(0), u(1), u(2)), ""
	case "raw_set_header_map_pairs":
		return proxySetHeaderMapPairs(u(0), u(1), u(2)), ""
	case "raw_get_buffer_bytes":
		return proxyGetBufferBytes(u(0), u(1), u(2), u(3), u(4)), ""
	case "raw_set_buffer_bytes":
		return proxySetBufferBytes(u(0), u(1), u(2), u(3), u(4)), ""
	case "raw_send_local_response":
		return proxySendLocalResponse(u(0), u(1), u(2), u(3), u(4), u(5), u(6), u(7)), ""
	case "raw_http_call":
		return proxyHTTPCall(u(0), u(1), u(2), u(3), u(4), u(5), u(6), u(7), u(8), u(9)), ""
	case "raw_define_metric":
		return proxyDefineMetric(u(0), u(1), u(2), u(3)), ""
	case "raw_get_metric":
		return proxyGetMetric(u(0), u(1)), ""
	case "raw_get_current_time_nanoseconds":
		return proxyGetCurrentTime(u(0)), ""
	}
	panic("no such call: " + l.op)
}

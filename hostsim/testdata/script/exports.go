package main

import (
	"strconv"
	"unsafe"
)

// pinned keeps what the host was given from the collector.
var pinned = map[uint32][]byte{}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) uint32 {
	b := make([]byte, size)
	p := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	pinned[p] = b
	return p
}

//go:wasmexport proxy_on_context_create
func onContextCreate(id, parent uint32) {
	run("context_create", args(id, parent), 0)
}

//go:wasmexport proxy_on_vm_start
func onVMStart(id, size uint32) uint32 {
	return run("vm_start", args(id, size), 1)
}

//go:wasmexport proxy_on_configure
func onConfigure(id, size uint32) uint32 {
	load(size)
	return run("configure", args(id), 1)
}

//go:wasmexport proxy_on_tick
func onTick(id uint32) { run("tick", args(id), 0) }

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(id, n, end uint32) uint32 {
	vars["stream"] = uint64(id)
	return run("request_headers", args(id, n, end), 0)
}

//go:wasmexport proxy_on_request_body
func onRequestBody(id, n, end uint32) uint32 {
	return run("request_body", args(id, n, end), 0)
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(id, n uint32) uint32 {
	return run("request_trailers", args(id, n), 0)
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(id, n, end uint32) uint32 {
	return run("response_headers", args(id, n, end), 0)
}

//go:wasmexport proxy_on_response_body
func onResponseBody(id, n, end uint32) uint32 {
	return run("response_body", args(id, n, end), 0)
}

//go:wasmexport proxy_on_response_trailers
func onResponseTrailers(id, n uint32) uint32 {
	return run("response_trailers", args(id, n), 0)
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(id, call, headers, body, trailers uint32) {
	run("http_call_response", args(id, call, headers, body, trailers), 0)
}

//go:wasmexport proxy_on_grpc_receive
func onGrpcReceive(id, call, size uint32) { run("grpc_receive", args(id, call, size), 0) }

//go:wasmexport proxy_on_grpc_close
func onGrpcClose(id, call, status uint32) { run("grpc_close", args(id, call, status), 0) }

//go:wasmexport proxy_on_grpc_receive_initial_metadata
func onGrpcInitial(id, call, n uint32) { run("grpc_initial", args(id, call, n), 0) }

//go:wasmexport proxy_on_grpc_receive_trailing_metadata
func onGrpcTrailing(id, call, n uint32) { run("grpc_trailing", args(id, call, n), 0) }

//go:wasmexport proxy_on_queue_ready
func onQueueReady(id, queue uint32) { run("queue_ready", args(id, queue), 0) }

//go:wasmexport proxy_on_done
func onDone(id uint32) uint32 { return run("done", args(id), 1) }

//go:wasmexport proxy_on_log
func onLog(id uint32) { run("log", args(id), 0) }

//go:wasmexport proxy_on_delete
func onDelete(id uint32) { run("delete", args(id), 0) }

// args shows a callback's arguments.
func args(ns ...uint32) string {
	s := ""
	for i, n := range ns {
		if i > 0 {
			s += " "
		}
		s += strconv.Itoa(int(n))
	}
	return s
}

//go:wasmexport proxy_abi_version_0_2_0
func abiVersion() {}

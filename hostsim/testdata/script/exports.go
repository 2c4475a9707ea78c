package main

import (
	"fmt"
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
	run("context_create", fmt.Sprint(id, parent), 0)
}

//go:wasmexport proxy_on_vm_start
func onVMStart(id, size uint32) uint32 {
	return run("vm_start", fmt.Sprint(id, size), 1)
}

//go:wasmexport proxy_on_configure
func onConfigure(id, size uint32) uint32 {
	load(size)
	return run("configure", fmt.Sprint(id), 1)
}

//go:wasmexport proxy_on_tick
func onTick(id uint32) { run("tick", fmt.Sprint(id), 0) }

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(id, n, end uint32) uint32 {
	vars["stream"] = uint64(id)
	return run("request_headers", fmt.Sprint(id, n, end), 0)
}

//go:wasmexport proxy_on_request_body
func onRequestBody(id, n, end uint32) uint32 {
	return run("request_body", fmt.Sprint(id, n, end), 0)
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(id, n uint32) uint32 {
	return run("request_trailers", fmt.Sprint(id, n), 0)
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(id, n, end uint32) uint32 {
	return run("response_headers", fmt.Sprint(id, n, end), 0)
}

//go:wasmexport proxy_on_response_body
func onResponseBody(id, n, end uint32) uint32 {
	return run("response_body", fmt.Sprint(id, n, end), 0)
}

//go:wasmexport proxy_on_response_trailers
func onResponseTrailers(id, n uint32) uint32 {
	return run("response_trailers", fmt.Sprint(id, n), 0)
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(id, call, headers, body, trailers uint32) {
	run("http_call_response", fmt.Sprint(id, call, headers, body, trailers), 0)
}

//go:wasmexport proxy_on_grpc_receive
func onGrpcReceive(id, call, size uint32) { run("grpc_receive", fmt.Sprint(id, call, size), 0) }

//go:wasmexport proxy_on_grpc_close
func onGrpcClose(id, call, status uint32) { run("grpc_close", fmt.Sprint(id, call, status), 0) }

//go:wasmexport proxy_on_grpc_receive_initial_metadata
func onGrpcInitial(id, call, n uint32) { run("grpc_initial", fmt.Sprint(id, call, n), 0) }

//go:wasmexport proxy_on_grpc_receive_trailing_metadata
func onGrpcTrailing(id, call, n uint32) { run("grpc_trailing", fmt.Sprint(id, call, n), 0) }

//go:wasmexport proxy_on_queue_ready
func onQueueReady(id, queue uint32) { run("queue_ready", fmt.Sprint(id, queue), 0) }

//go:wasmexport proxy_on_done
func onDone(id uint32) uint32 { return run("done", fmt.Sprint(id), 1) }

//go:wasmexport proxy_on_log
func onLog(id uint32) { run("log", fmt.Sprint(id), 0) }

//go:wasmexport proxy_on_delete
func onDelete(id uint32) { run("delete", fmt.Sprint(id), 0) }

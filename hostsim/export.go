package hostsim

import "github.com/tetratelabs/wazero/api"

// export names a function of the plugin that the host calls.
type export int

const (
	expInitialize export = iota
	expStart
	expMain
	expMainVoid
	expMalloc
	expMemoryAllocate
	expContextCreate
	expVMStart
	expConfigure
	expTick
	expRequestHeaders
	expRequestBody
	expRequestTrailers
	expResponseHeaders
	expResponseBody
	expResponseTrailers
	expHTTPCallResponse
	expGrpcReceive
	expGrpcClose
	expGrpcReceiveInitialMetadata
	expGrpcReceiveTrailingMetadata
	expQueueReady
	expDone
	expLog
	expDelete
	exportCount
)

// exportType is a function's Wasm type: all parameters and the result are i32.
type exportType struct {
	params int
	result bool
}

var exportNames = [exportCount]string{
	"_initialize", "_start", "main", "__main_void", "malloc", "proxy_on_memory_allocate",
	"proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure", "proxy_on_tick",
	"proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers",
	"proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers",
	"proxy_on_http_call_response", "proxy_on_grpc_receive", "proxy_on_grpc_close",
	"proxy_on_grpc_receive_initial_metadata", "proxy_on_grpc_receive_trailing_metadata",
	"proxy_on_queue_ready", "proxy_on_done", "proxy_on_log", "proxy_on_delete",
}

// exportTypes is what Envoy expects of those that a module exports
// (include/proxy-wasm/wasm.h); another type makes the module unloadable.
var exportTypes = map[string]exportType{
	"_initialize": {0, false}, "_start": {0, false}, "malloc": {1, true}, "proxy_on_memory_allocate": {1, true},
	"proxy_on_context_create": {2, false}, "proxy_on_vm_start": {2, true}, "proxy_on_configure": {2, true},
	"proxy_on_tick": {1, false}, "proxy_on_request_headers": {3, true}, "proxy_on_request_body": {3, true},
	"proxy_on_request_trailers": {2, true}, "proxy_on_response_headers": {3, true},
	"proxy_on_response_body": {3, true}, "proxy_on_response_trailers": {2, true},
	"proxy_on_http_call_response": {5, false}, "proxy_on_grpc_receive": {3, false},
	"proxy_on_grpc_close": {3, false}, "proxy_on_grpc_receive_initial_metadata": {3, false},
	"proxy_on_grpc_receive_trailing_metadata": {3, false}, "proxy_on_queue_ready": {2, false},
	"proxy_on_foreign_function": {3, false}, "proxy_on_done": {1, true}, "proxy_on_log": {1, false},
	"proxy_on_delete": {1, false},
}

// exports holds the functions of one VM; nil for those that the module lacks,
// which are never called.
type exports [exportCount]api.Function

func (e *exports) bind(m api.Module, p Profile) {
	for i, name := range exportNames {
		e[i] = m.ExportedFunction(name)
	}
	if e[expInitialize] != nil {
		e[expStart] = nil // a reactor's _initialize wins over _start
	} else {
		e[expMain], e[expMainVoid] = nil, nil
	}
	if p == Envoy136 {
		e[expMainVoid] = nil // proxy-wasm-cpp-host#500 came later
	}
}

// allocator is malloc or, failing that, proxy_on_memory_allocate.
func (e *exports) allocator() export {
	if e[expMalloc] != nil {
		return expMalloc
	}
	return expMemoryAllocate
}

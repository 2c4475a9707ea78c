package hostsim

import (
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

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
	expForeignFunction // which hostsim never calls
	expQueueReady
	expDone
	expLog
	expDelete
	exportCount
)

type exportType struct {
	name   string
	params int
	result bool
}

// exportTypes are the types that Envoy expects of a module's exports (include/proxy-wasm/wasm.h): all parameters and
// the result are i32. Another type makes the module unloadable. The types of main are not checked.
var exportTypes = [exportCount]exportType{
	expInitialize:                  {"_initialize", 0, false},
	expStart:                       {"_start", 0, false},
	expMain:                        {"main", -1, false},
	expMainVoid:                    {"__main_void", -1, false},
	expMalloc:                      {"malloc", 1, true},
	expMemoryAllocate:              {"proxy_on_memory_allocate", 1, true},
	expContextCreate:               {"proxy_on_context_create", 2, false},
	expVMStart:                     {"proxy_on_vm_start", 2, true},
	expConfigure:                   {"proxy_on_configure", 2, true},
	expTick:                        {"proxy_on_tick", 1, false},
	expRequestHeaders:              {"proxy_on_request_headers", 3, true},
	expRequestBody:                 {"proxy_on_request_body", 3, true},
	expRequestTrailers:             {"proxy_on_request_trailers", 2, true},
	expResponseHeaders:             {"proxy_on_response_headers", 3, true},
	expResponseBody:                {"proxy_on_response_body", 3, true},
	expResponseTrailers:            {"proxy_on_response_trailers", 2, true},
	expHTTPCallResponse:            {"proxy_on_http_call_response", 5, false},
	expGrpcReceive:                 {"proxy_on_grpc_receive", 3, false},
	expGrpcClose:                   {"proxy_on_grpc_close", 3, false},
	expGrpcReceiveInitialMetadata:  {"proxy_on_grpc_receive_initial_metadata", 3, false},
	expGrpcReceiveTrailingMetadata: {"proxy_on_grpc_receive_trailing_metadata", 3, false},
	expForeignFunction:             {"proxy_on_foreign_function", 3, false},
	expQueueReady:                  {"proxy_on_queue_ready", 2, false},
	expDone:                        {"proxy_on_done", 1, true},
	expLog:                         {"proxy_on_log", 1, false},
	expDelete:                      {"proxy_on_delete", 1, false},
}

func (e export) String() string { return exportTypes[e].name }

func checkExportTypes(defs map[string]api.FunctionDefinition) error {
	for _, want := range exportTypes {
		def := defs[want.name]
		if def == nil || want.params < 0 {
			continue
		}
		if len(def.ParamTypes()) != want.params || !allI32(def.ParamTypes()) ||
			want.result != (len(def.ResultTypes()) == 1) || !allI32(def.ResultTypes()) {
			return fmt.Errorf("bad function signature for: %s", want.name)
		}
	}
	return nil
}

func allI32(types []api.ValueType) bool {
	return !slices.ContainsFunc(types, func(t api.ValueType) bool { return t != api.ValueTypeI32 })
}

// exports holds the functions of one VM. Functions that the module lacks are nil and never called.
type exports [exportCount]api.Function

func (e *exports) bind(i *wasm.Instance, p Profile) {
	for n := range e {
		e[n] = i.Function(export(n).String())
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

//go:build wasm

package main

//lint:file-ignore U1000 the host calls these, through go:wasmexport

import (
	"slices"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// The module's exports: what a host calls (Proxy-Wasm ABI 0.2.0; host.onMemoryAllocate is the remaining one). A host
// skips callbacks that are not exported, so what the plugin does not need costs a request nothing: proxy_on_log,
// proxy_on_delete and the callbacks of responses' bodies and trailers.

// root is a root context: one configuration in this VM.
type root struct {
	id     uint32
	plugin *plugin
	stream bool // that of a stream, whose answer waits for its body
}

var (
	roots []root
	// current is the plugin of the stream whose context was created last. A host creates it right before the stream's
	// first callback, on the same thread (Envoy's Wasm Context::decodeHeaders), so nothing else need be kept of a stream.
	current *plugin
	// stream is its context.
	stream uint32
)

// rootOf returns the plugin of a root context; nil if there is no such root any more. It searches a slice because
// a look-up in a map allocates with TinyGo.
func rootOf(id uint32) *plugin {
	for _, r := range roots {
		if r.id == id {
			return r.plugin
		}
	}
	return nil
}

//go:wasmexport proxy_abi_version_0_2_0
func abiVersion() {}

//go:wasmexport proxy_on_vm_start
func onVMStart(uint32, uint32) types.OnVMStartStatus { return types.OnVMStartStatusOK }

//go:wasmexport proxy_on_context_create
func onContextCreate(id, parent uint32) {
	if parent == 0 {
		forget(id) // one that could not start, and is started again
		roots = append(roots, root{id, &plugin{}, false})
	} else {
		current, stream = rootOf(parent), id
	}
}

//go:wasmexport proxy_on_configure
func onConfigure(id, configurationSize uint32) types.OnPluginStartStatus {
	return rootOf(id).OnPluginStart(int(configurationSize))
}

//go:wasmexport proxy_on_tick
func onTick(id uint32) {
	if p := rootOf(id); p != nil {
		p.OnTick()
	}
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(id, call, numHeaders, bodySize, numTrailers uint32) {
	if p := rootOf(id); p != nil {
		p.onHTTPCallResponse(call, int(numHeaders), int(bodySize), int(numTrailers))
	}
}

//go:wasmexport proxy_on_queue_ready
func onQueueReady(id, _ uint32) { onTick(id) }

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(id, numHeaders uint32, endOfStream bool) types.Action {
	return awaits(id, current.checks.OnHttpRequestHeaders(int(numHeaders), endOfStream))
}

//go:wasmexport proxy_on_request_body
func onRequestBody(id, size uint32, endOfStream bool) types.Action {
	for i := range waiting {
		if waiting[i].stream == id { // by continuing with the body, its headers would go on, too
			return types.ActionPause
		}
	}
	p := rootOf(id)
	if p == nil {
		return types.ActionContinue
	}
	forget(id)
	current, stream = p, id
	return awaits(id, p.checks.OnHttpRequestBody(int(size), endOfStream))
}

// awaits remembers a stream that is to be asked again when its body has come.
func awaits(id uint32, action types.Action) types.Action {
	if action == waits {
		roots = append(roots, root{id, current, true})
		action = types.ActionPause
	}
	return action
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(id, _ uint32) types.Action { return onRequestBody(id, 0, true) }

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(_, numHeaders uint32, endOfStream bool) types.Action {
	return current.checks.OnHttpResponseHeaders(int(numHeaders), endOfStream)
}

// onDone is told of the end of streams, which may be waiting, and of root contexts. A plugin is always
// done, so its root goes here and not in proxy_on_delete, which each stream would have to pay for.
//
//go:wasmexport proxy_on_done
func onDone(id uint32) bool {
	for _, r := range roots {
		if r.id == id {
			forget(id)
			if !r.stream {
				r.plugin.OnPluginDone()
			}
			break
		}
	}
	for i := range waiting {
		if waiting[i].stream == id {
			waited(i)
			break
		}
	}
	return true
}

func forget(id uint32) { roots = slices.DeleteFunc(roots, func(r root) bool { return r.id == id }) }

//go:build wasm && !tinygo

package main

import (
	_ "unsafe" // for go:linkname

	"github.com/healthgate/healthgate/filter/sdk"
)

// The SDK's handlers of root contexts, which it does not export to other packages.

//go:linkname sdkContextCreate github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/internal.proxyOnContextCreate
func sdkContextCreate(id, parent uint32)

//go:linkname sdkDone github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDone
func sdkDone(id uint32) bool

//go:linkname sdkDelete github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDelete
func sdkDelete(id uint32)

// The module's exports; streams.go says what for.

//go:wasmexport healthgate_on_context_create
func onContextCreate(id, parent uint32) {
	routes.create(id, parent)
}

//go:wasmexport healthgate_on_done
func onDone(id uint32) bool {
	return routes.done(id)
}

//go:wasmexport healthgate_on_request_headers
func onRequestHeaders(_ uint32, numHeaders int32, endOfStream bool) sdk.Action {
	return routes.requestHeaders(numHeaders, endOfStream)
}

//go:wasmexport healthgate_on_response_headers
func onResponseHeaders(uint32, int32, bool) sdk.Action {
	restoreBareReply()
	return sdk.ActionContinue
}

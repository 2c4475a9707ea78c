//go:build tinygo

package main

import (
	_ "unsafe" // for go:linkname

	"github.com/healthgate/healthgate/filter/sdk"
)

// The SDK's handlers of root contexts. TinyGo names an exported function after its export.

//go:linkname sdkContextCreate proxy_on_context_create
func sdkContextCreate(id, parent uint32)

//go:linkname sdkDone proxy_on_done
func sdkDone(id uint32) bool

//go:linkname sdkDelete proxy_on_delete
func sdkDelete(id uint32)

// The module's exports; streams.go says what for.

//export healthgate_on_context_create
func onContextCreate(id, parent uint32) {
	routes.create(id, parent)
}

//export healthgate_on_done
func onDone(id uint32) bool {
	return routes.done(id)
}

//export healthgate_on_request_headers
func onRequestHeaders(_ uint32, numHeaders int32, endOfStream bool) sdk.Action {
	return routes.requestHeaders(numHeaders, endOfStream)
}

//export healthgate_on_response_headers
func onResponseHeaders(uint32, int32, bool) sdk.Action {
	restoreBareReply()
	return sdk.ActionContinue
}

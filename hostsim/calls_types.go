package hostsim

// status is the result of a host call (WasmResult in proxy-wasm-cpp-host's proxy_wasm_common.h).
type status uint32

const (
	statusOK status = iota
	statusNotFound
	statusBadArgument
	statusSerializationFailure
	statusParseFailure
	statusBadExpression
	statusInvalidMemoryAccess
	statusEmpty
	statusCasMismatch
	statusResultMismatch
	statusInternalFailure
	statusBrokenConnection
	statusUnimplemented
)

var statusNames = [...]string{
	"Ok", "NotFound", "BadArgument", "SerializationFailure", "ParseFailure", "BadExpression",
	"InvalidMemoryAccess", "Empty", "CasMismatch", "ResultMismatch", "InternalFailure", "BrokenConnection",
	"Unimplemented",
}

func (s status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "Unknown"
}

// mapType selects a header map (WasmHeaderMapType).
type mapType uint32

const (
	mapRequestHeaders mapType = iota
	mapRequestTrailers
	mapResponseHeaders
	mapResponseTrailers
	mapGrpcReceiveInitialMetadata
	mapGrpcReceiveTrailingMetadata
	mapHTTPCallResponseHeaders
	mapHTTPCallResponseTrailers
	mapTypeMax = mapHTTPCallResponseTrailers
)

// bufferType selects a buffer (WasmBufferType).
type bufferType uint32

const (
	bufferHTTPRequestBody bufferType = iota
	bufferHTTPResponseBody
	bufferNetworkDownstreamData
	bufferNetworkUpstreamData
	bufferHTTPCallResponseBody
	bufferGrpcReceive
	bufferVMConfiguration
	bufferPluginConfiguration
	bufferCallData
	bufferTypeMax = bufferCallData
)

// streamType selects a direction (WasmStreamType).
type streamType uint32

const (
	streamRequest streamType = iota
	streamResponse
	streamDownstream
	streamUpstream
	streamTypeMax = streamUpstream
)

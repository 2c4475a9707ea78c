//go:build wasm

package host

import (
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// The host calls of Proxy-Wasm ABI 0.2.1 and WASI preview 1, as Envoy has them (proxy-wasm-cpp-host, exports.cc).
// Pointers are to the module's own memory. What the host returns, it allocates through proxy_on_memory_allocate.

//go:wasmimport env proxy_log
func proxyLog(level uint32, message unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriod(period uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, maxSize uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_property
func proxyGetProperty(path unsafe.Pointer, pathSize uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(headerMap uint32, name unsafe.Pointer, nameSize uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(headerMap uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(headerMap uint32, name unsafe.Pointer, nameSize uint32,
	value unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(headerMap uint32, name unsafe.Pointer, nameSize uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer,
	bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_http_call
func proxyHTTPCall(cluster unsafe.Pointer, clusterSize uint32, headers unsafe.Pointer, headersSize uint32,
	body unsafe.Pointer, bodySize uint32, trailers unsafe.Pointer, trailersSize uint32, timeout uint32,
	id unsafe.Pointer) uint32

//go:wasmimport env proxy_get_shared_data
func proxyGetSharedData(key unsafe.Pointer, keySize uint32, value, size, cas unsafe.Pointer) uint32

//go:wasmimport env proxy_set_shared_data
func proxySetSharedData(key unsafe.Pointer, keySize uint32, value unsafe.Pointer, size, cas uint32) uint32

//go:wasmimport env proxy_register_shared_queue
func proxyRegisterSharedQueue(name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_resolve_shared_queue
func proxyResolveSharedQueue(vm unsafe.Pointer, vmSize uint32, name unsafe.Pointer, nameSize uint32,
	id unsafe.Pointer) uint32

//go:wasmimport env proxy_enqueue_shared_queue
func proxyEnqueueSharedQueue(id uint32, value unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_dequeue_shared_queue
func proxyDequeueSharedQueue(id uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(id uint32) uint32

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(stream uint32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind uint32, name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, offset int64) uint32

//go:wasmimport env proxy_record_metric
func proxyRecordMetric(id uint32, value uint64) uint32

//go:wasmimport env proxy_get_metric
func proxyGetMetric(id uint32, value unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(id uint32, precision uint64, result unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 random_get
func randomGet(buffer unsafe.Pointer, size uint32) uint32

// Values of the ABI's enumerations.
const (
	StatusOK              = 0
	StatusBadArgument     = 2
	statusInvalidMemory   = 6
	StatusInternalFailure = 10

	levelInfo     = 2
	levelWarn     = 3
	levelCritical = 5

	bufferRequestBody         = 0
	bufferHTTPCallResponse    = 4
	bufferPluginConfiguration = 7

	mapRequestHeaders          = 0
	mapResponseHeaders         = 2
	mapHTTPCallResponseHeaders = 6

	mapHTTPCallResponseTrailers = 7

	metricCounter = 0
	metricGauge   = 1

	streamRequest = 0

	clockRealtime  = 0
	clockMonotonic = 1
)

// asError returns the SDK's error for a status of the host.
func asError(status uint32) error {
	switch status {
	case StatusOK:
		return nil
	case 1:
		return types.ErrorStatusNotFound
	case StatusBadArgument:
		return types.ErrorStatusBadArgument
	case 8:
		return types.ErrorStatusCasMismatch
	case 12:
		return types.ErrorUnimplemented
	}
	return types.ErrorInternalFailure
}

// pointer and length pass a text to the host.

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func length(s string) uint32 { return uint32(len(s)) }

// result is where the host writes its answers: static, because a variable whose address the host gets is allocated.
var result struct {
	value  unsafe.Pointer
	size   uint32
	id     uint32 // or the CAS number
	number uint64
	byte   byte
}

var resultValue, resultSize = unsafe.Pointer(&result.value), unsafe.Pointer(&result.size)

func resultText() string { return unsafe.String((*byte)(result.value), result.size) }

func resultBytes() []byte { return unsafe.Slice((*byte)(result.value), result.size) }

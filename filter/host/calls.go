//go:build wasm

package host

import "unsafe"

// LogInfo logs a line.
func LogInfo(message string) { proxyLog(levelInfo, pointer(message), length(message)) }

// LogWarn logs a warning.
func LogWarn(message string) { proxyLog(levelWarn, pointer(message), length(message)) }

// LogCritical logs why the plugin cannot go on.
func LogCritical(message string) { proxyLog(levelCritical, pointer(message), length(message)) }

// Configuration returns the plugin's configuration; nil if there is none. It can be read while the plugin starts.
func Configuration() []byte { return buffer(bufferPluginConfiguration, all) }

// RequestBody returns what is there of a request's body, up to so many bytes.
func RequestBody(most uint32) []byte { return buffer(bufferRequestBody, most) }

const all = 1<<31 - 1

func buffer(kind, most uint32) []byte {
	if proxyGetBufferBytes(kind, 0, most, resultValue, resultSize) != StatusOK {
		return nil
	}
	return resultBytes()
}

// SetTickPeriodMilliSeconds sets how often the root context's OnTick is called.
func SetTickPeriodMilliSeconds(period uint32) error { return asError(proxySetTickPeriod(period)) }

// Clock reads the host's clocks. It implements verdict.Clock.
type Clock struct{}

// Wall returns nanoseconds since 1970 in UTC.
func (Clock) Wall() int64 { return now(clockRealtime) }

// Monotonic returns nanoseconds of the process's steady clock, which all its VMs share.
func (Clock) Monotonic() int64 { return now(clockMonotonic) }

func now(clock uint32) int64 {
	clockTimeGet(clock, 1, unsafe.Pointer(&result.number))
	return int64(result.number)
}

// Random returns a random number other than 0.
func Random() uint64 {
	randomGet(unsafe.Pointer(&result.number), 8)
	return result.number | 1
}

// Property returns an attribute of Envoy; the parts of its path are separated by zero bytes.
func Property(path string) (string, bool) {
	if !gave(proxyGetProperty(pointer(path), length(path), resultValue, resultSize)) {
		return "", false
	}
	return resultText(), true
}

// RequestHeader returns the first value of a request header.
func RequestHeader(name string) (string, bool) {
	if !gave(proxyGetHeaderMapValue(mapRequestHeaders, pointer(name), length(name), resultValue, resultSize)) {
		return "", false
	}
	return resultText(), true
}

// RequestHeaders returns all request headers.
func RequestHeaders() Headers { return headerMap(mapRequestHeaders) }

// HTTPCallResponseHeaders returns the headers of the callout's response, in its callback.
func HTTPCallResponseHeaders() Headers { return headerMap(mapHTTPCallResponseHeaders) }

// HTTPCallResponseTrailers returns the trailers of the callout's response, in its callback.
func HTTPCallResponseTrailers() Headers { return headerMap(mapHTTPCallResponseTrailers) }

// HTTPCallResponseBody returns the body of the callout's response, in its callback; nil if it cannot be read.
func HTTPCallResponseBody() []byte { return buffer(bufferHTTPCallResponse, all) }

func headerMap(kind uint32) Headers {
	if !gave(proxyGetHeaderMapPairs(kind, resultValue, resultSize)) {
		return nil
	}
	return resultBytes()
}

// ResponseHeaders returns all headers of the response.
func ResponseHeaders() Headers { return headerMap(mapResponseHeaders) }

// RemoveResponseHeader takes a header from the response.
func RemoveResponseHeader(name string) error {
	return asError(proxyRemoveHeaderMapValue(mapResponseHeaders, pointer(name), length(name)))
}

// ReplaceResponseHeader sets a header of the response.
func ReplaceResponseHeader(name, value string) error {
	return asError(proxyReplaceHeaderMapValue(mapResponseHeaders, pointer(name), length(name),
		pointer(value), length(value)))
}

// ReplaceRequestHeader sets a header of the request. Envoy then chooses the request's route anew.
func ReplaceRequestHeader(name, value string) {
	proxyReplaceHeaderMapValue(mapRequestHeaders, pointer(name), length(name), pointer(value), length(value))
}

// RemoveRequestHeader takes a header from the request.
func RemoveRequestHeader(name string) {
	proxyRemoveHeaderMapValue(mapRequestHeaders, pointer(name), length(name))
}

// SendLocalResponse replies to the current stream; details become Envoy's response code details.
func SendLocalResponse(status uint32, details, body string, headers Headers) {
	const noGRPCStatus = -1
	proxySendLocalResponse(status, pointer(details), length(details), pointer(body), length(body),
		unsafe.Pointer(unsafe.SliceData(headers)), uint32(len(headers)), noGRPCStatus)
}

// SendGRPCStatus replies to the current stream with a status of gRPC. What Envoy does not take for gRPC gets 404.
func SendGRPCStatus(details string, status int32) {
	proxySendLocalResponse(404, pointer(details), length(details), nil, 0, nil, 0, status)
}

var noTrailers = EncodeHeaders(nil)

// DispatchHTTPCall sends a request to a cluster and returns the number that its response will carry, and the host's
// status.
func DispatchHTTPCall(cluster string, headers [][2]string, body []byte,
	timeoutMilliseconds uint32) (call, status uint32) {
	h := EncodeHeaders(headers)
	status = proxyHTTPCall(pointer(cluster), length(cluster), unsafe.Pointer(&h[0]), uint32(len(h)),
		unsafe.Pointer(unsafe.SliceData(body)), uint32(len(body)),
		unsafe.Pointer(&noTrailers[0]), uint32(len(noTrailers)), timeoutMilliseconds, unsafe.Pointer(&result.id))
	return result.id, status
}

// SharedData returns a value of shared data with its CAS number.
func SharedData(key string) (value []byte, cas uint32, ok bool) {
	if !gave(proxyGetSharedData(pointer(key), length(key), resultValue, resultSize, unsafe.Pointer(&result.id))) {
		return nil, 0, false
	}
	return resultBytes(), result.id, true
}

// SetSharedData writes a value, unless its CAS number is another one by now: types.ErrorStatusCasMismatch. Number 0
// writes in any case.
func SetSharedData(key string, value []byte, cas uint32) error {
	return asError(proxySetSharedData(pointer(key), length(key), unsafe.Pointer(unsafe.SliceData(value)),
		uint32(len(value)), cas))
}

// RegisterQueue makes the root context the one that is told of what comes into a queue, and returns the queue.
func RegisterQueue(name string) (queue uint32) {
	proxyRegisterSharedQueue(pointer(name), length(name), unsafe.Pointer(&result.id))
	return result.id
}

// Enqueue puts a byte into a queue, if there is one of that name.
func Enqueue(name string, value byte) {
	result.byte = value
	if proxyResolveSharedQueue(nil, 0, pointer(name), length(name), unsafe.Pointer(&result.id)) == StatusOK {
		proxyEnqueueSharedQueue(result.id, unsafe.Pointer(&result.byte), 1)
	}
}

// Dequeue takes the byte that has been in a queue for longest; false if nothing is there.
func Dequeue(queue uint32) (value byte, ok bool) {
	if proxyDequeueSharedQueue(queue, resultValue, resultSize) != StatusOK || result.size == 0 {
		return 0, false
	}
	return *(*byte)(result.value), true
}

// SetStream has the host calls that follow in this callback be for a stream that is paused.
func SetStream(id uint32) { proxySetEffectiveContext(id) }

// ContinueRequest lets the request of a stream go on that is paused.
func ContinueRequest() { proxyContinueStream(streamRequest) }

// Metric is a counter or gauge of Envoy, which all VMs of the process share.
type Metric uint32

// DefineCounter defines a counter.
func DefineCounter(name string) Metric { return define(metricCounter, name) }

// DefineGauge defines a gauge.
func DefineGauge(name string) Metric { return define(metricGauge, name) }

// refused says that the host refused to define a metric.
var refused bool

// MetricsRefused reports whether the host refused to define a metric. What is done to that one has no effect.
func MetricsRefused() bool { return refused }

func define(kind uint32, name string) Metric {
	if proxyDefineMetric(kind, pointer(name), length(name), unsafe.Pointer(&result.id)) != StatusOK {
		refused = true
		return 0
	}
	return Metric(result.id)
}

// Increment adds one to a counter.
func Increment(metric Metric) { proxyIncrementMetric(uint32(metric), 1) }

// Set sets a gauge.
func Set(metric Metric, value uint64) { proxyRecordMetric(uint32(metric), value) }

// CounterValue returns the value of a counter, 0 if the host does not know the metric.
func CounterValue(metric Metric) uint64 {
	result.number = 0
	proxyGetMetric(uint32(metric), unsafe.Pointer(&result.number))
	return result.number
}

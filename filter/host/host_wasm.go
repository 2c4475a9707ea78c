//go:build wasm

package host

import "unsafe"

// clock_time_get of WASI preview 1. Envoy answers id 0 from the system clock and id 1 from the process's steady clock
// (proxy-wasm-cpp-host, exports.cc, wasi_unstable_clock_time_get).
//
//go:wasmimport wasi_snapshot_preview1 clock_time_get
func clockTimeGet(id uint32, precision uint64, result unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 random_get
func randomGet(buffer unsafe.Pointer, size uint32) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details unsafe.Pointer, detailsSize uint32, body unsafe.Pointer,
	bodySize uint32, headers unsafe.Pointer, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(kind uint32, name unsafe.Pointer, nameSize uint32, id unsafe.Pointer) uint32

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(id uint32, offset int64) uint32

//go:wasmimport env proxy_get_metric
func proxyGetMetric(id uint32, value unsafe.Pointer) uint32

//go:wasmimport env proxy_record_metric
func proxyRecordMetric(id uint32, value uint64) uint32

var instant int64 // static, because a variable whose address the host gets is allocated

func now(clock uint32) int64 {
	clockTimeGet(clock, 1, unsafe.Pointer(&instant))
	return instant
}

// Wall returns nanoseconds since 1970 in UTC.
func (Clock) Wall() int64 { return now(0) }

// Monotonic returns nanoseconds of the process's steady clock.
func (Clock) Monotonic() int64 { return now(1) }

// Random returns a random number other than 0.
func Random() uint64 {
	var n uint64
	randomGet(unsafe.Pointer(&n), 8)
	return n | 1
}

// proxy-wasm's kinds of metrics.
const (
	counter = 0
	gauge   = 1
)

var defined uint32

// DefineCounter defines a counter.
func DefineCounter(name string) Metric { return define(counter, name) }

// DefineGauge defines a gauge.
func DefineGauge(name string) Metric { return define(gauge, name) }

func define(kind uint32, name string) Metric {
	known(proxyDefineMetric(kind, pointer(name), uint32(len(name)), unsafe.Pointer(&defined)))
	return Metric(defined)
}

// Increment adds one to a counter.
func Increment(metric Metric) { known(proxyIncrementMetric(uint32(metric), 1)) }

// Set sets a gauge.
func Set(metric Metric, value uint64) { known(proxyRecordMetric(uint32(metric), value)) }

// known panics as the SDK does: every host has metrics, and forgets none.
func known(status uint32) {
	if status != statusOK {
		panic("the host does not know the metric")
	}
}

var counterValue uint64

// CounterValue returns the value of a counter, which all VMs of the process share.
func CounterValue(metric Metric) uint64 {
	known(proxyGetMetric(uint32(metric), unsafe.Pointer(&counterValue)))
	return counterValue
}

// SendLocalResponse replies to the current stream. headers are encoded by EncodeHeaders; details become Envoy's
// response code details.
func SendLocalResponse(status uint32, details, body string, headers []byte) {
	proxySendLocalResponse(status, unsafe.Pointer(unsafe.StringData(details)), uint32(len(details)),
		unsafe.Pointer(unsafe.StringData(body)), uint32(len(body)),
		unsafe.Pointer(unsafe.SliceData(headers)), uint32(len(headers)), -1)
}

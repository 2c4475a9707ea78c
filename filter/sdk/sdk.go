// Package sdk is the plugin's way to proxy-wasm: the one place that names an SDK. standard.go and retired.go, which
// differ in nothing but the SDK's import path, bind the same names to the SDK for standard Go or to the one for TinyGo;
// the build tag retired_sdk takes the latter natively, for its host emulator.
package sdk

// Metric is a counter or gauge of Envoy.
type Metric uint32

// DefineCounter defines a counter.
func DefineCounter(name string) Metric { return Metric(defineCounter(name)) }

// DefineGauge defines a gauge.
func DefineGauge(name string) Metric { return Metric(defineGauge(name)) }

// Increment adds one to a counter.
func (m Metric) Increment() { counter(m).Increment(1) }

// Value returns the value of a counter.
func (m Metric) Value() uint64 { return counter(m).Value() }

// Set sets a gauge. The SDK offers only Add for gauges; its histogram's Record is the same host call,
// proxy_record_metric, which sets a gauge.
func (m Metric) Set(value uint64) { histogram(m).Record(value) }

// GetProperty returns an attribute of Envoy.
func GetProperty(path ...string) ([]byte, error) { return getProperty(path) }

// SendHttpResponse replies to the current stream.
func SendHttpResponse(status uint32, headers [][2]string, body []byte) error {
	return sendHttpResponse(status, headers, body, -1)
}

// DispatchHttpCall sends a request without a body to a cluster. done is called with the number of response headers,
// 0 when there was no response, and the size of the body.
func DispatchHttpCall(cluster string, headers [][2]string, timeoutMs uint32, done func(headers, body int)) error {
	_, err := dispatchHttpCall(cluster, headers, nil, nil, timeoutMs,
		func(numHeaders, bodySize, _ int) { done(numHeaders, bodySize) })
	return err
}

// GetHttpCallResponseBody returns the response's body; only while its callback runs.
func GetHttpCallResponseBody(size int) ([]byte, error) { return callResponseBody(0, size) }

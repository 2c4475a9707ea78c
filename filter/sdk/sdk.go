// Package sdk is the plugin's way to proxy-wasm: the one place that names an SDK. It re-exports what the plugin uses,
// under the SDK's own names.
package sdk

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// The contexts of a plugin.
type (
	VMContext            = types.VMContext
	PluginContext        = types.PluginContext
	HttpContext          = types.HttpContext
	DefaultVMContext     = types.DefaultVMContext
	DefaultPluginContext = types.DefaultPluginContext
	DefaultHttpContext   = types.DefaultHttpContext
	Action               = types.Action
	OnPluginStartStatus  = types.OnPluginStartStatus
)

// What callbacks return.
const (
	ActionContinue            = types.ActionContinue
	ActionPause               = types.ActionPause
	OnPluginStartStatusOK     = types.OnPluginStartStatusOK
	OnPluginStartStatusFailed = types.OnPluginStartStatusFailed
)

// Metric is a counter or gauge of Envoy.
type Metric uint32

// DefineCounter defines a counter.
func DefineCounter(name string) Metric { return Metric(proxywasm.DefineCounterMetric(name)) }

// DefineGauge defines a gauge.
func DefineGauge(name string) Metric { return Metric(proxywasm.DefineGaugeMetric(name)) }

// Increment adds one to a counter.
func (m Metric) Increment() { proxywasm.MetricCounter(m).Increment(1) }

// Set sets a gauge. The SDK offers only Add for gauges; its histogram's Record is the same host call,
// proxy_record_metric, which sets a gauge.
func (m Metric) Set(value uint64) { proxywasm.MetricHistogram(m).Record(value) }

// SetVMContext registers the plugin.
func SetVMContext(c VMContext) { proxywasm.SetVMContext(c) }

// GetPluginConfiguration returns the configuration; only in OnPluginStart.
func GetPluginConfiguration() ([]byte, error) { return proxywasm.GetPluginConfiguration() }

// SetTickPeriodMilliSeconds sets how long after the end of one tick the next one comes.
func SetTickPeriodMilliSeconds(period uint32) error {
	return proxywasm.SetTickPeriodMilliSeconds(period)
}

// GetProperty returns an attribute of Envoy.
func GetProperty(path ...string) ([]byte, error) { return proxywasm.GetProperty(path) }

// GetHttpRequestHeader returns a request header, its values joined with commas.
func GetHttpRequestHeader(name string) (string, error) { return proxywasm.GetHttpRequestHeader(name) }

// ReplaceHttpResponseHeader sets a response header.
func ReplaceHttpResponseHeader(name, value string) error {
	return proxywasm.ReplaceHttpResponseHeader(name, value)
}

// SendHttpResponse replies to the current stream.
func SendHttpResponse(status uint32, headers [][2]string, body []byte) error {
	return proxywasm.SendHttpResponse(status, headers, body, -1)
}

// GetSharedData returns a value with its CAS number; not found is an error.
func GetSharedData(key string) ([]byte, uint32, error) { return proxywasm.GetSharedData(key) }

// SetSharedData stores a value. A cas of 0 always overwrites; another one must be the present number.
func SetSharedData(key string, value []byte, cas uint32) error {
	return proxywasm.SetSharedData(key, value, cas)
}

// DispatchHttpCall sends a request without a body to a cluster. done is called with the number of response headers,
// 0 when there was no response, and the size of the body.
func DispatchHttpCall(cluster string, headers [][2]string, timeoutMs uint32, done func(headers, body int)) error {
	_, err := proxywasm.DispatchHttpCall(cluster, headers, nil, nil, timeoutMs,
		func(numHeaders, bodySize, _ int) { done(numHeaders, bodySize) })
	return err
}

// GetHttpCallResponseHeaders returns the response's headers; only while its callback runs.
func GetHttpCallResponseHeaders() ([][2]string, error) {
	return proxywasm.GetHttpCallResponseHeaders()
}

// GetHttpCallResponseBody returns the response's body; only while its callback runs.
func GetHttpCallResponseBody(size int) ([]byte, error) {
	return proxywasm.GetHttpCallResponseBody(0, size)
}

// LogInfo, LogWarn and LogCritical write to Envoy's log.
func LogInfo(text string)     { proxywasm.LogInfo(text) }
func LogWarn(text string)     { proxywasm.LogWarn(text) }
func LogCritical(text string) { proxywasm.LogCritical(text) }

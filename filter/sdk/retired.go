//go:build tinygo || retired_sdk

package sdk

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

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

const (
	ActionContinue            = types.ActionContinue
	ActionPause               = types.ActionPause
	OnPluginStartStatusOK     = types.OnPluginStartStatusOK
	OnPluginStartStatusFailed = types.OnPluginStartStatusFailed
)

type (
	counter   = proxywasm.MetricCounter
	histogram = proxywasm.MetricHistogram
)

var (
	defineCounter    = proxywasm.DefineCounterMetric
	defineGauge      = proxywasm.DefineGaugeMetric
	getProperty      = proxywasm.GetProperty
	sendHttpResponse = proxywasm.SendHttpResponse
	dispatchHttpCall = proxywasm.DispatchHttpCall
	callResponseBody = proxywasm.GetHttpCallResponseBody
)

// SDK functions that need no adapting.
var (
	SetVMContext               = proxywasm.SetVMContext
	GetPluginConfiguration     = proxywasm.GetPluginConfiguration
	SetTickPeriodMilliSeconds  = proxywasm.SetTickPeriodMilliSeconds
	GetHttpRequestHeader       = proxywasm.GetHttpRequestHeader
	GetHttpRequestHeaders      = proxywasm.GetHttpRequestHeaders
	ReplaceHttpResponseHeader  = proxywasm.ReplaceHttpResponseHeader
	GetSharedData              = proxywasm.GetSharedData
	SetSharedData              = proxywasm.SetSharedData
	GetHttpCallResponseHeaders = proxywasm.GetHttpCallResponseHeaders
	LogInfo                    = proxywasm.LogInfo
	LogWarn                    = proxywasm.LogWarn
	LogCritical                = proxywasm.LogCritical
)

// Command filter is the healthgate plugin, to be compiled to WebAssembly by "make filter".
//
// The files here are glue between the host and the packages beside them, which hold the decisions.
package main

import "github.com/healthgate/healthgate/filter/sdk"

func main() {}

func init() { sdk.SetVMContext(&vm{}) }

type vm struct{ sdk.DefaultVMContext }

// NewPluginContext makes the root context of one configuration. A VM has several when several filters share it.
func (*vm) NewPluginContext(id uint32) sdk.PluginContext {
	p := &plugin{}
	routes.add(id, p)
	return p
}

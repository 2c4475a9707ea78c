package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

type vm struct{ types.DefaultVMContext }
type pl struct{ types.DefaultPluginContext }

func init() { proxywasm.SetVMContext(&vm{}) }
func (*vm) NewPluginContext(uint32) types.PluginContext { return &pl{} }
func (p *pl) OnPluginStart(int) types.OnPluginStartStatus {
	for _, n := range [][]string{{"xds", "node", "id"}, {"xds", "node", "cluster"}, {"xds", "node", "locality", "zone"}, {"node", "id"}, {"node", "locality", "zone"}, {"node", "cluster"},{"xds","node"}, {"node"}} {
		v, err := proxywasm.GetProperty(n)
		proxywasm.LogWarnf("%v = %q %v", n, v, err)
	}
	return types.OnPluginStartStatusOK
}

//go:build !wasm

package simtest

import (
	"os"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// alwaysHealthy has no probes, so that the SDK's emulator, which answers no callout by itself, can play along.
const alwaysHealthy = `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]},
	"healthy": {"body": "OK", "content_type": "text/plain"}}]}`

// BenchmarkCheck sends health checks through one worker: of hostsim, as it comes, and of the SDK's emulator on the same
// module.
func BenchmarkCheck(b *testing.B) {
	// The emulator calls exports that the linked module leaves out, without asking whether they are there.
	wasm, err := os.ReadFile("../../build/unlinked.wasm")
	if err != nil {
		b.Fatalf("%v: run `make filter` first", err)
	}
	b.Run("hostsim", func(b *testing.B) {
		host, err := hostsim.New(wasm, hostsim.PluginConfig(alwaysHealthy))
		if err != nil {
			b.Fatal(err)
		}
		defer host.Close()
		request := &hostsim.Request{Path: "/hc", Peer: balancer}
		for b.Loop() {
			if r := host.Worker(0).Do(request); r.Status != 200 {
				b.Fatalf("got %d", r.Status)
			}
		}
	})
	b.Run("proxytest", func(b *testing.B) {
		vm, err := proxytest.NewWasmVMContext(wasm)
		if err != nil {
			b.Fatal(err)
		}
		defer vm.Close()
		host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
			WithVMContext(vm).WithPluginConfiguration([]byte(alwaysHealthy)))
		defer reset()
		if host.StartVM() != types.OnVMStartStatusOK || host.StartPlugin() != types.OnPluginStartStatusOK {
			b.Fatal("the plugin did not start")
		}
		if err := host.SetProperty([]string{"source", "address"}, []byte(balancer)); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			id := host.InitializeHttpContext()
			host.CallOnRequestHeaders(id, [][2]string{{":path", "/hc"}, {":method", "GET"}}, true)
			if r := host.GetSentLocalResponse(id); r == nil || r.StatusCode != 200 {
				b.Fatalf("got %+v", r)
			}
			host.CompleteHttpContext(id)
		}
	})
}

// BenchmarkNewHost builds and closes a host of the compiled filter.
func BenchmarkNewHost(b *testing.B) {
	wasm, err := module()
	if err != nil {
		b.Fatal(err)
	}
	build := func() {
		host, err := hostsim.New(wasm, hostsim.PluginConfig(alwaysHealthy))
		if err != nil {
			b.Fatal(err)
		}
		if err := host.Close(); err != nil {
			b.Fatal(err)
		}
	}
	build() // compiles the module, once per process
	for b.Loop() {
		build()
	}
}

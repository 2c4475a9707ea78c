// Package hostsim is a host for proxy-wasm HTTP plugins that imitates Envoy: it loads a compiled plugin, made with any
// SDK and language, and makes the calls that Envoy makes, in Envoy's order. So a test sees without an Envoy how the
// plugin behaves, deterministically and with faults when the test wants them.
//
// A test builds a host, sends requests, moves the clock, and looks at what came out:
//
//	host, err := hostsim.New(wasm,
//		hostsim.PluginConfig(`{"greeting": "hello"}`),
//		hostsim.Workers(2),
//		hostsim.Upstream("backend", handler),
//	)
//	if err != nil {
//		t.Fatal(err)
//	}
//	defer host.Close()
//
//	host.Advance(time.Second) // the ticks of one second
//	reply := host.Worker(0).Do(&hostsim.Request{Path: "/", Peer: "10.0.0.1:4711"})
//	if reply.Status != 200 || reply.Forwarded {
//		t.Errorf("…")
//	}
//
// # Envoy's world
//
// A host has a main thread and worker threads, each with a VM of its own, and all VMs share data, queues and metrics.
// Before them, a base VM is initialized and a canary VM tries the configuration, as in Envoy; data that the canary
// shared stays. Requests go to workers; every VM ticks. There are no real threads, and time is virtual: things happen
// one after another, when [Host.Advance], [Worker.Do] or another method lets them.
//
// The documentation of each option and method names the part of Envoy that it imitates. The rules come from Envoy's
// source (source/extensions/common/wasm), from proxy-wasm-cpp-host, which Envoy embeds, and from the Proxy-Wasm ABI
// specification, in this order where they differ.
package hostsim

//go:build !wasm

package main

// A native build has only the SDK's way to streams.
type streams struct{}

var routes streams

func (streams) add(uint32, *plugin) {}

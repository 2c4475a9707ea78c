//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/sdk"
)

// streams is the short way from the host to checks. The SDK keeps maps of every stream's context, which this plugin
// does not need: they cost a health check about as much as deciding it. So the module has exports of its own for the
// callbacks of streams, healthgate_on_…, beside the SDK's. filter/link puts them in the place of the SDK's; a module
// that was not linked works all the same, the long way.
//
// A stream's plugin is known by its creation alone: a host creates a stream's context right before the first callback
// of the stream, on the same thread (Envoy's Wasm Context::decodeHeaders), and request headers are the only callback
// that asks. So nothing is kept of a stream, and the plugin need not be told of its end.
type streams struct {
	roots   map[uint32]*plugin // by context
	current *plugin            // of the stream created last
}

var routes = streams{roots: map[uint32]*plugin{}}

// add is told of each root context.
func (s *streams) add(id uint32, p *plugin) {
	s.roots[id] = p
	s.changed()
}

// create is proxy_on_context_create: a root context when it has no parent, else a stream.
func (s *streams) create(id, parent uint32) {
	if parent == 0 {
		sdkContextCreate(id, parent)
		return
	}
	s.current = s.roots[parent]
	host.Entry.Parent = parent
}

// done is proxy_on_done; a stream is always done. A root context is deleted with it, because a plugin is always done
// too: filter/link drops proxy_on_delete, which each stream would have to pay for.
func (s *streams) done(id uint32) bool {
	if s.roots[id] == nil {
		return true
	}
	if !sdkDone(id) {
		return false
	}
	sdkDelete(id)
	delete(s.roots, id)
	s.changed()
	return true
}

// changed follows a change of roots.
func (s *streams) changed() {
	s.current, host.Entry.Parent, host.Entry.OnlyRoot = nil, host.NoContext, 0
	host.PassUnless(nil)
	if len(s.roots) == 1 {
		for id := range s.roots {
			host.Entry.OnlyRoot = id
		}
	}
}

func (s *streams) requestHeaders(numHeaders int32, endOfStream bool) sdk.Action {
	checks := &s.current.checks
	action := checks.OnHttpRequestHeaders(int(numHeaders), endOfStream)
	// Behind a request for no endpoint there are likely to be more. With several roots, their endpoints differ.
	if checks.matched || host.Entry.OnlyRoot == 0 {
		host.PassUnless(nil)
	} else {
		host.PassUnless(checks.lengths)
	}
	return action
}

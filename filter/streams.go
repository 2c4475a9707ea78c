//go:build wasm

package main

import "github.com/healthgate/healthgate/filter/sdk"

// streams is the short way from the host to checks. The SDK keeps maps of every stream's context, which this plugin
// does not need: they cost a health check about as much as deciding it. So the module has exports of its own for the
// callbacks of streams, healthgate_on_…, beside the SDK's. filter/link puts them in the place of the SDK's; a module
// that was not linked works all the same, the long way.
type streams struct {
	first   *plugin            // the plugin of every stream that is not in others
	firstID uint32             // its context
	roots   map[uint32]*plugin // by context
	others  map[uint32]*plugin // by stream: those of the VM's second configuration and further ones
}

var routes = streams{roots: map[uint32]*plugin{}, others: map[uint32]*plugin{}}

// add is told of each root context.
func (s *streams) add(id uint32, p *plugin) {
	s.roots[id] = p
	if s.first == nil {
		s.first, s.firstID = p, id
	}
}

// create is proxy_on_context_create: a root context when it has no parent, else a stream.
func (s *streams) create(id, parent uint32) {
	switch parent {
	case 0:
		sdkContextCreate(id, parent)
	case s.firstID:
	default:
		s.others[id] = s.roots[parent]
	}
}

func (s *streams) checks(id uint32) *checks {
	if len(s.others) > 0 {
		if p := s.others[id]; p != nil {
			return &p.checks
		}
	}
	return &s.first.checks
}

// done is proxy_on_done; a stream is always done.
func (s *streams) done(id uint32) bool {
	return s.roots[id] == nil || sdkDone(id)
}

// remove is proxy_on_delete.
func (s *streams) remove(id uint32) {
	if s.roots[id] != nil {
		sdkDelete(id)
		delete(s.roots, id)
		if s.firstID == id {
			s.first, s.firstID = nil, 0
		}
		return
	}
	if len(s.others) > 0 {
		delete(s.others, id)
	}
}

func (s *streams) requestHeaders(id uint32, numHeaders int32, endOfStream bool) sdk.Action {
	return s.checks(id).OnHttpRequestHeaders(int(numHeaders), endOfStream)
}

func (s *streams) responseHeaders(id uint32, numHeaders int32, endOfStream bool) sdk.Action {
	return s.checks(id).OnHttpResponseHeaders(int(numHeaders), endOfStream)
}

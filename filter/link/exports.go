package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// own is the prefix of the plugin's exports that replace the SDK's.
const own = "healthgate_"

// entry is the plugin's export that returns the address of what entries look at. It is for them alone.
const entryFunction = own + "entry"

// dropped are the callbacks that the plugin leaves to the SDK's defaults, which do nothing. A host does not call what
// is not exported (proxy-wasm-cpp-host, WasmBase::getFunctions). proxy_on_delete is among them because the plugin deletes
// a root context when it is done.
var dropped = map[string]bool{
	"proxy_on_request_body": true, "proxy_on_request_trailers": true,
	"proxy_on_response_body": true, "proxy_on_response_trailers": true,
	"proxy_on_log": true, "proxy_on_delete": true, "proxy_on_queue_ready": true,
	"proxy_on_new_connection": true, "proxy_on_downstream_data": true, "proxy_on_upstream_data": true,
	"proxy_on_downstream_connection_close": true, "proxy_on_upstream_connection_close": true,
}

var errNotOurs = errors.New("no export starts with " + own + ": this is not the plugin, or it is linked already")

// link returns the plugin's module with its own callbacks in the place of the SDK's, behind their entries.
func link(b []byte) ([]byte, error) {
	m, err := parseModule(b)
	if err != nil {
		return nil, err
	}
	exports, err := parseExports(m.section(exportSection))
	if err != nil {
		return nil, err
	}
	ours := false
	for _, e := range exports {
		ours = ours || strings.HasPrefix(e.name, own)
	}
	if !ours {
		return nil, errNotOurs
	}
	exports = replace(exports)
	if exports, err = addEntries(m, exports); err != nil {
		return nil, err
	}
	m.section(exportSection).body = encodeExports(exports)
	return m.encode(), nil
}

// export is one entry of the module's list of exports.
type export struct {
	name  string
	kind  byte
	index uint64
}

const functionExport = 0 // the kind of an exported function

// replace puts the plugin's exports in the place of the SDK's, and drops those that are not needed.
func replace(exports []export) []export {
	all := map[string]bool{}
	for _, e := range exports {
		all[e.name] = true
	}
	var kept []export
	for _, e := range exports {
		rest, isCallback := strings.CutPrefix(e.name, "proxy_")
		if dropped[e.name] || isCallback && all[own+rest] {
			continue
		}
		if rest, isOurs := strings.CutPrefix(e.name, own); isOurs && e.name != entryFunction {
			e.name = "proxy_" + rest
		}
		kept = append(kept, e)
	}
	return kept
}

func parseExports(s *section) ([]export, error) {
	count, rest, err := s.count()
	if err != nil {
		return nil, err
	}
	var exports []export
	for ; count > 0; count-- {
		name, after, err := sized(rest)
		if err != nil {
			return nil, err
		}
		if len(after) == 0 {
			return nil, errTruncated
		}
		index, next, err := number(after[1:])
		if err != nil {
			return nil, err
		}
		exports = append(exports, export{string(name), after[0], index})
		rest = next
	}
	return exports, nil
}

func encodeExports(exports []export) []byte {
	b := binary.AppendUvarint(nil, uint64(len(exports)))
	for _, e := range exports {
		b = append(appendSized(b, e.name), e.kind)
		b = binary.AppendUvarint(b, e.index)
	}
	return b
}

// find returns the place of the function that is exported under the first of the names that there is.
func find(exports []export, names ...string) (int, error) {
	for _, name := range names {
		for i, e := range exports {
			if e.name == name && e.kind == functionExport {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("the module exports no function %s", strings.Join(names, " or "))
}

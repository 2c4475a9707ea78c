package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// own is the prefix of the plugin's exports that replace the SDK's.
const own = "healthgate_"

// dropped are the callbacks that the plugin leaves to the SDK's defaults, which do nothing. A host does not call what
// is not exported (proxy-wasm-cpp-host, WasmBase::getFunctions).
var dropped = map[string]bool{
	"proxy_on_request_body": true, "proxy_on_request_trailers": true,
	"proxy_on_response_body": true, "proxy_on_response_trailers": true,
	"proxy_on_log": true, "proxy_on_queue_ready": true,
	"proxy_on_new_connection": true, "proxy_on_downstream_data": true, "proxy_on_upstream_data": true,
	"proxy_on_downstream_connection_close": true, "proxy_on_upstream_connection_close": true,
}

// place returns what becomes of an export in a module that exports all: its new name, "" if it goes.
func place(name string, all map[string]bool) string {
	if rest, ok := strings.CutPrefix(name, own); ok {
		return "proxy_" + rest
	}
	rest, isCallback := strings.CutPrefix(name, "proxy_")
	if dropped[name] || isCallback && all[own+rest] {
		return ""
	}
	return name
}

const exportSection = 7 // WebAssembly 1.0, section 5.5.10

var (
	errNotWasm   = errors.New("not a WebAssembly module")
	errTruncated = errors.New("the module is cut off or damaged")
	errNotOurs   = errors.New("no export starts with " + own + ": this is not the plugin, or it is linked already")
)

// link returns the plugin's module with its exports as place says.
func link(module []byte) ([]byte, error) {
	ours := false
	linked, err := rewriteExports(module, func(name string, all map[string]bool) string {
		ours = ours || strings.HasPrefix(name, own)
		return place(name, all)
	})
	if err == nil && !ours {
		err = errNotOurs
	}
	return linked, err
}

// rewriteExports returns the module with its exports renamed or dropped. Everything else stays byte for byte.
func rewriteExports(module []byte, place func(name string, all map[string]bool) string) ([]byte, error) {
	header := []byte("\x00asm\x01\x00\x00\x00")
	if !bytes.HasPrefix(module, header) {
		return nil, errNotWasm
	}
	out := bytes.Clone(header)
	for rest := module[len(header):]; len(rest) > 0; {
		id := rest[0]
		section, after, err := sized(rest[1:])
		if err != nil {
			return nil, err
		}
		rest = after
		if id == exportSection {
			if section, err = renameExports(section, place); err != nil {
				return nil, err
			}
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(section)))
		out = append(out, section...)
	}
	return out, nil
}

// export is one entry: a name, and the kind and index of what it names as they stand in the module.
type export struct {
	name string
	what []byte
}

func renameExports(section []byte, place func(string, map[string]bool) string) ([]byte, error) {
	entries, err := parseExports(section)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, e := range entries {
		all[e.name] = true
	}
	count := uint64(0)
	var kept []byte
	for _, e := range entries {
		name := place(e.name, all)
		if name == "" {
			continue
		}
		count++
		kept = binary.AppendUvarint(kept, uint64(len(name)))
		kept = append(append(kept, name...), e.what...)
	}
	return append(binary.AppendUvarint(nil, count), kept...), nil
}

func parseExports(section []byte) ([]export, error) {
	count, n := binary.Uvarint(section)
	if n <= 0 {
		return nil, errTruncated
	}
	var entries []export
	for rest := section[n:]; count > 0; count-- {
		name, after, err := sized(rest)
		if err != nil {
			return nil, err
		}
		if len(after) == 0 {
			return nil, errTruncated
		}
		_, n := binary.Uvarint(after[1:])
		if n <= 0 {
			return nil, errTruncated
		}
		entries = append(entries, export{string(name), after[:1+n]})
		rest = after[1+n:]
	}
	return entries, nil
}

// sized splits off bytes with their length before them.
func sized(b []byte) (bytes, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errTruncated
	}
	end := n + int(size)
	return b[n:end], b[end:], nil
}

package main

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Opcodes (WebAssembly 1.0, section 5.4).
const (
	opBlock     = 0x02
	opLoop      = 0x03
	opIf        = 0x04
	opEnd       = 0x0b
	opBr        = 0x0c
	opBrIf      = 0x0d
	opReturn    = 0x0f
	opCall      = 0x10
	opLocalGet  = 0x20
	opLocalSet  = 0x21
	opLocalTee  = 0x22
	opGlobalGet = 0x23
	opGlobalSet = 0x24
	opI32Load   = 0x28
	opI32Load8U = 0x2d
	opI32Store  = 0x36
	opI32Const  = 0x41
	opI32Eqz    = 0x45
	opI32Eq     = 0x46
	opI32Ne     = 0x47
	opI32LtU    = 0x49
	opI32GeU    = 0x4f
	opI32Add    = 0x6a
	opI32Sub    = 0x6b
	opI32And    = 0x71
	opI32Shl    = 0x74
	opI32ShrU   = 0x76

	typeI32   = 0x7f
	noResult  = 0x40 // of a block
	isMutable = 1    // of a global
)

// Offsets in the plugin's host.Entry.
const (
	scratchNext = 0
	scratchEnd  = 4
	parent      = 8
	onlyRoot    = 12
	bareReply   = 16
	lengths     = 20
	scratch     = 24
	scratchStop = 28
	pathName    = 32
	path        = 36
	pathSize    = 40
)

// getHeaderFunction is the host call that an entry makes.
const getHeaderFunction = "proxy_get_header_map_value"

// functions are the indices of what an entry uses.
type functions struct {
	base      uint64 // the global that holds the address of host.Entry
	target    uint64 // the plugin's function
	entry     uint64 // the plugin's function that returns the address of host.Entry
	getHeader uint64 // the host's proxy_get_header_map_value
}

// entries are what hosts call in the place of some of the plugin's functions: each answers by itself what needs no Go,
// and calls the plugin's function for the rest. Locals are the parameters, as proxy-wasm's ABI 0.2.1 and the plugin's
// exports have them.
var entries = []struct {
	exports []string // the first that there is
	locals  int      // of type i32, beside the parameters
	code    func(f functions) []byte
}{
	// () {plugin(); base = entry()}; TinyGo 0.33 has the latter name, which hosts call when there is not the former
	{[]string{"_initialize", "_start"}, 0, func(f functions) []byte {
		return code(opCall, f.target, opCall, f.entry, opGlobalSet, f.base)
	}},
	// (size) {if size-1 < end-next {used = next; next += size rounded up to 8; return used}; return plugin(size)}
	{[]string{"proxy_on_memory_allocate"}, 1, func(f functions) []byte {
		return code(
			opLocalGet, 0, opI32Const, 1, opI32Sub,
			opGlobalGet, f.base, load(scratchEnd), opGlobalGet, f.base, load(scratchNext), opLocalTee, 1, opI32Sub,
			opI32LtU, opIf, noResult,
			opGlobalGet, f.base,
			opLocalGet, 0, opI32Const, 7, opI32Add, opI32Const, 3, opI32ShrU, opI32Const, 3, opI32Shl, opLocalGet, 1, opI32Add,
			store(scratchNext),
			opLocalGet, 1, opReturn,
			opEnd,
			opLocalGet, 0, opCall, f.target)
	}},
	// (context, parent) {if the last stream's parent was another {plugin(context, parent)}}
	{[]string{"proxy_on_context_create"}, 0, func(f functions) []byte {
		return code(
			opLocalGet, 1, opGlobalGet, f.base, load(parent), opI32Ne, opIf, noResult,
			opLocalGet, 0, opLocalGet, 1, opCall, f.target,
			opEnd)
	}},
	// (context) {if there is one root and it is another context {return true}; return plugin(context)}
	{[]string{"proxy_on_done"}, 1, func(f functions) []byte {
		return code(
			opGlobalGet, f.base, load(onlyRoot), opLocalTee, 1, opI32Const, 0, opI32Ne,
			opLocalGet, 0, opLocalGet, 1, opI32Ne, opI32And, opIf, noResult,
			opI32Const, 1, opReturn,
			opEnd,
			opLocalGet, 0, opCall, f.target)
	}},
	// (context, headers, end) {if no bare reply is under way {return continue}; return plugin(context, headers, end)}
	{[]string{"proxy_on_response_headers"}, 0, func(f functions) []byte {
		return code(
			opGlobalGet, f.base, load8(bareReply), opI32Eqz, opIf, noResult,
			opI32Const, 0, opReturn,
			opEnd,
			opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opCall, f.target)
	}},
	// (context, headers, end) {
	//   if lengths are given {
	//     open scratch; read the path; close scratch
	//     if there is one {
	//       for each length in turn {
	//         if it is 0 or more than the path's {return continue}
	//         if it is the path's, or a query begins there {break}
	//   }}}
	//   return plugin(context, headers, end)}
	{[]string{"proxy_on_request_headers"}, 3, func(f functions) []byte {
		const next, length, at = 3, 4, 5 // the place in lengths, a length, the path
		return code(
			opBlock, noResult,
			opGlobalGet, f.base, load(lengths), opLocalTee, next, opI32Eqz, opBrIf, 0,
			opGlobalGet, f.base, opGlobalGet, f.base, load(scratch), store(scratchNext),
			opGlobalGet, f.base, opGlobalGet, f.base, load(scratchStop), store(scratchEnd),
			opI32Const, 0, opGlobalGet, f.base, load(pathName), opI32Const, len(":path"),
			opGlobalGet, f.base, opI32Const, path, opI32Add, opGlobalGet, f.base, opI32Const, pathSize, opI32Add,
			opCall, f.getHeader,
			opGlobalGet, f.base, opI32Const, 0, store(scratchNext),
			opGlobalGet, f.base, opI32Const, 0, store(scratchEnd),
			opBrIf, 0,
			opGlobalGet, f.base, load(path), opLocalSet, at,
			opLoop, noResult,
			opLocalGet, next, load(0), opLocalTee, length, opI32Const, 1, opI32Sub,
			opGlobalGet, f.base, load(pathSize), opI32GeU, opIf, noResult,
			opI32Const, 0, opReturn,
			opEnd,
			opLocalGet, length, opGlobalGet, f.base, load(pathSize), opI32Eq, opBrIf, 1,
			opLocalGet, at, opLocalGet, length, opI32Add, load8(0), opI32Const, int('?'), opI32Eq, opBrIf, 1,
			opLocalGet, next, opI32Const, 4, opI32Add, opLocalSet, next, opBr, 0,
			opEnd,
			opEnd,
			opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opCall, f.target)
	}},
}

// addEntries adds the entries to the module and returns the exports with them.
func addEntries(m module, exports []export) ([]export, error) {
	names, err := m.importedFunctions()
	if err != nil {
		return nil, err
	}
	imported := uint64(len(names))
	getHeader := slices.Index(names, getHeaderFunction)
	if getHeader < 0 {
		return nil, errors.New("the module does not import " + getHeaderFunction)
	}
	base, err := m.section(globalSection).add([]byte{typeI32, isMutable, opI32Const, 0, opEnd})
	if err != nil {
		return nil, err
	}
	address, err := find(exports, entryFunction)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		i, err := find(exports, e.exports...)
		if err != nil {
			return nil, err
		}
		target := exports[i].index
		functionType, err := m.functionType(target, imported)
		if err != nil {
			return nil, err
		}
		body := []byte{0}
		if e.locals > 0 {
			body = []byte{1, byte(e.locals), typeI32}
		}
		body = append(append(body, e.code(functions{base, target, exports[address].index, uint64(getHeader)})...), opEnd)
		if exports[i].index, err = m.addFunction(functionType, imported, body); err != nil {
			return nil, err
		}
	}
	return append(exports[:address], exports[address+1:]...), nil
}

// code assembles opcodes and their operands, each below 128 if it is not an index.
func code(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case uint64:
			b = binary.AppendUvarint(b, p)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// Loads and stores name the logarithm of their alignment, and the offset.
func load(offset byte) []byte  { return []byte{opI32Load, 2, offset} }
func load8(offset byte) []byte { return []byte{opI32Load8U, 0, offset} }
func store(offset byte) []byte { return []byte{opI32Store, 2, offset} }

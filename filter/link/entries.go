package main

import "encoding/binary"

// Opcodes (WebAssembly 1.0, section 5.4).
const (
	opIf        = 0x04
	opEnd       = 0x0b
	opReturn    = 0x0f
	opCall      = 0x10
	opLocalGet  = 0x20
	opLocalTee  = 0x22
	opGlobalGet = 0x23
	opGlobalSet = 0x24
	opI32Load   = 0x28
	opI32Load8U = 0x2d
	opI32Store  = 0x36
	opI32Const  = 0x41
	opI32Eqz    = 0x45
	opI32Ne     = 0x47
	opI32LtU    = 0x49
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
)

// entries are what hosts call in the place of some of the plugin's functions: each answers by itself what needs no Go,
// and calls the plugin's function for the rest. base is the global that holds the address of host.Entry, target the
// plugin's function, entry the one that returns the address. Locals are the parameters, as proxy-wasm's ABI 0.2.1 and
// the plugin's exports have them.
var entries = []struct {
	exports []string // the first that there is
	locals  int      // of type i32, beside the parameters
	code    func(base, target, entry uint64) []byte
}{
	// () {plugin(); base = entry()}; TinyGo 0.33 has the latter name, which hosts call when there is not the former
	{[]string{"_initialize", "_start"}, 0, func(base, target, entry uint64) []byte {
		return code(opCall, target, opCall, entry, opGlobalSet, base)
	}},
	// (size) {if size-1 < end-next {used = next; next += size rounded up to 8; return used}; return plugin(size)}
	{[]string{"proxy_on_memory_allocate"}, 1, func(base, target, _ uint64) []byte {
		return code(
			opLocalGet, 0, opI32Const, 1, opI32Sub,
			opGlobalGet, base, load(scratchEnd), opGlobalGet, base, load(scratchNext), opLocalTee, 1, opI32Sub,
			opI32LtU, opIf, noResult,
			opGlobalGet, base,
			opLocalGet, 0, opI32Const, 7, opI32Add, opI32Const, 3, opI32ShrU, opI32Const, 3, opI32Shl, opLocalGet, 1, opI32Add,
			store(scratchNext),
			opLocalGet, 1, opReturn,
			opEnd,
			opLocalGet, 0, opCall, target)
	}},
	// (context, parent) {if the last stream's parent was another {plugin(context, parent)}}
	{[]string{"proxy_on_context_create"}, 0, func(base, target, _ uint64) []byte {
		return code(
			opLocalGet, 1, opGlobalGet, base, load(parent), opI32Ne, opIf, noResult,
			opLocalGet, 0, opLocalGet, 1, opCall, target,
			opEnd)
	}},
	// (context) {if there is one root and it is another context {return true}; return plugin(context)}
	{[]string{"proxy_on_done"}, 1, func(base, target, _ uint64) []byte {
		return code(
			opGlobalGet, base, load(onlyRoot), opLocalTee, 1, opI32Const, 0, opI32Ne,
			opLocalGet, 0, opLocalGet, 1, opI32Ne, opI32And, opIf, noResult,
			opI32Const, 1, opReturn,
			opEnd,
			opLocalGet, 0, opCall, target)
	}},
	// (context, headers, end) {if no bare reply is under way {return continue}; return plugin(context, headers, end)}
	{[]string{"proxy_on_response_headers"}, 0, func(base, target, _ uint64) []byte {
		return code(
			opGlobalGet, base, load8(bareReply), opI32Eqz, opIf, noResult,
			opI32Const, 0, opReturn,
			opEnd,
			opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opCall, target)
	}},
}

// addEntries adds the entries to the module and returns the exports with them.
func addEntries(m module, exports []export) ([]export, error) {
	imported, err := m.importedFunctions()
	if err != nil {
		return nil, err
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
		body = append(append(body, e.code(base, target, exports[address].index)...), opEnd)
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

package hostsim_test

import "encoding/binary"

// wasmModule is a module in the making: enough of an assembler for guests that are
// too small, or too broken, for a compiler.
type wasmModule struct {
	imports []wasmImport
	funcs   []wasmFunc
	pages   uint64
	start   int // a function to run at once, unless 0
}

type wasmImport struct {
	module, name    string
	params, results []byte
}

type wasmFunc struct {
	name            string // exported as, unless empty
	params, results []byte
	code            []byte // without the final end
}

const (
	i32 = 0x7f
	i64 = 0x7e
)

func types(n int) []byte {
	ts := make([]byte, n)
	for i := range ts {
		ts[i] = i32
	}
	return ts
}

func leb(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func name(b []byte, s string) []byte { return append(leb(b, uint64(len(s))), s...) }

func section(b []byte, id byte, body []byte) []byte {
	return append(leb(append(b, id), uint64(len(body))), body...)
}

func (m *wasmModule) bytes() []byte {
	var typs, imps, funcs, exps, code []byte
	n := 0
	typeOf := func(params, results []byte) uint64 {
		typs = append(leb(append(typs, 0x60), uint64(len(params))), params...)
		typs = append(leb(typs, uint64(len(results))), results...)
		n++
		return uint64(n - 1)
	}
	for _, im := range m.imports {
		imps = leb(append(name(name(imps, im.module), im.name), 0), typeOf(im.params, im.results))
	}
	exports := 1
	exps = append(name(exps, "memory"), 2, 0)
	for i, f := range m.funcs {
		funcs = leb(funcs, typeOf(f.params, f.results))
		body := append([]byte{0}, append(append([]byte(nil), f.code...), 0x0b)...)
		code = append(leb(code, uint64(len(body))), body...)
		if f.name != "" {
			exps = leb(append(name(exps, f.name), 0), uint64(len(m.imports)+i))
			exports++
		}
	}
	vec := func(n int, b []byte) []byte { return append(leb(nil, uint64(n)), b...) }
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = section(b, 1, vec(n, typs))
	b = section(b, 2, vec(len(m.imports), imps))
	b = section(b, 3, vec(len(m.funcs), funcs))
	b = section(b, 5, append([]byte{1, 0}, leb(nil, m.pages)...))
	b = section(b, 7, vec(exports, exps))
	if m.start > 0 {
		b = section(b, 8, leb(nil, uint64(m.start)))
	}
	return section(b, 10, vec(len(m.funcs), code))
}

// i32const is the instruction for a small number.
func i32const(n byte) []byte { return []byte{0x41, n & 0x3f} }

// tiny is a module with an ABI marker, malloc at 1024, and more functions.
func tiny(abi string, more ...wasmFunc) *wasmModule {
	return &wasmModule{pages: 1, funcs: append([]wasmFunc{
		{name: abi},
		{name: "malloc", params: types(1), results: types(1), code: []byte{0x41, 0x80, 0x08}},
	}, more...)}
}

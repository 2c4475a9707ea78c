package hostsim_test

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// wasmModule is a module in the making: enough of an assembler for guests that are
// too small, or too broken, for a compiler.
type wasmModule struct {
	imports []wasmImport
	funcs   []wasmFunc
	pages   uint64
	start   int // a function to run at once, unless 0
	data    []byte
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

const abi020 = "proxy_abi_version_0_2_0"

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
	b = section(b, 10, vec(len(m.funcs), code))
	if len(m.data) > 0 {
		active := append(sleb([]byte{0, 0x41}, dataAt), 0x0b)
		b = section(b, 11, vec(1, append(leb(active, uint64(len(m.data))), m.data...)))
	}
	return b
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

// dataAt is where a module's data lies, behind what malloc gives out.
const dataAt = 4096

// instructions are the beginnings of those that scenarios use; their numbers follow.
var instructions = map[string]string{
	"unreachable": "\x00", "loop": "\x03\x40", "if": "\x04\x40", "end": "\x0b", "br": "\x0c", "return": "\x0f",
	"call": "\x10", "drop": "\x1a", "local.get": "\x20", "i32.load8_u": "\x2d\x00\x00", "i32.const": "\x41",
	"i32.eqz": "\x45", "i32.eq": "\x46", "i32.sub": "\x6b",
}

// assemble makes the module that a scenario describes, as testdata/README.md says.
func assemble(b *block) []byte {
	abi := b.get("abi", abi020)
	m := tiny(abi)
	if b.has("bare") {
		m.funcs = nil
	}
	logs := strings.Contains(b.Input, "say ")
	if logs {
		m.imports = append(m.imports, wasmImport{"env", "proxy_log", types(3), types(1)})
	}
	var f *wasmFunc
	for line := range strings.SplitSeq(b.Input, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "import":
			module, name, _ := strings.Cut(words[1], ".")
			params, results := signature(words[2:])
			m.imports = append(m.imports, wasmImport{module, name, params, results})
		case "func":
			params, results := signature(words[2:])
			m.funcs = append(m.funcs, wasmFunc{strings.TrimPrefix(words[1], "-"), params, results, nil})
			f = &m.funcs[len(m.funcs)-1]
		case "start":
			m.start = len(m.imports) + len(m.funcs) - 1
		case "say": // proxy_log(info, text)
			text := strings.TrimPrefix(strings.TrimSpace(line), "say ")
			f.code = sleb(append(f.code, 0x41, 2, 0x41), int32(dataAt+len(m.data)))
			f.code = append(sleb(append(f.code, 0x41), int32(len(text))), 0x10, 0, 0x1a)
			m.data = append(m.data, text...)
		default:
			for _, word := range words {
				if n, err := strconv.Atoi(word); err == nil {
					f.code = sleb(f.code, int32(n))
				} else {
					f.code = append(f.code, oneOf(b, word, instructions)...)
				}
			}
		}
	}
	wasm := m.bytes()
	return wasm[:len(wasm)-b.number("cut", 0)]
}

// signature reads types of parameters, and behind an arrow those of results: i32 i32 -> i32.
func signature(words []string) (params, results []byte) {
	before, after, _ := strings.Cut(strings.Join(words, " "), "->")
	return types(strings.Count(before, "i32")), types(strings.Count(after, "i32"))
}

package wasm

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// What interruptible adds to a module's exports.
const (
	// exportInterrupt is a mutable global, 0 at first: once it is anything else, the code traps ("unreachable") soon.
	exportInterrupt = "hostsim:interrupt"
	// ExportStart is the function that the start section named, if there was one. The
	// section itself is gone, so that nothing runs before the interrupt can be reached.
	ExportStart = "hostsim:start"
)

// checkEvery is how many loops and functions are entered between two looks at
// exportInterrupt: some tens of microseconds, which make the cost of a look disappear.
const checkEvery = 1 << 14

// order is the order in which sections come.
var order = []byte{
	sectionType, sectionImport, sectionFunc, sectionTable, sectionMemory, sectionTag, sectionGlobal, sectionExport,
	sectionStart, sectionElement, sectionCount, sectionCode, sectionData,
}

// part is a section.
type part struct {
	id   byte
	body []byte
}

// interruptible makes the code of a module that checked passed interruptible. Nothing can run for ever without entering
// a loop or a function, so the code counts there, and every now and then looks at the interrupt. Before that it grows
// the memory by 0 pages, which leaves the guest's code for the engine's: Go cannot stop a goroutine in machine code
// that it did not compile. A guest that loops would hold up the garbage collector, and with it the goroutine that
// interrupts the guest.
//
// It also merges the data segments, as the sections are at hand.
//
// An engine can do the same, but wazero leaves the guest at each turn of a loop, and
// starts a goroutine for each call; this costs a few instructions.
//
// A module without a memory is returned as it is; no plugin can do without.
func interruptible(code []byte) ([]byte, error) {
	r := &reader{b: code[headerSize:]}
	var parts []part
	for len(r.b) > 0 {
		parts = append(parts, part{r.byte(), r.take(r.u32())})
	}
	if r.err != nil {
		return nil, r.err
	}
	hasMemory := func(p part) bool { return p.id == sectionMemory && (&reader{b: p.body}).count() > 0 }
	if !slices.ContainsFunc(parts, hasMemory) {
		return code, nil
	}
	global := uint32(0)
	var exports []byte
	added := uint32(1)
	for _, p := range parts {
		body := &reader{b: p.body}
		switch p.id {
		case sectionImport:
			body.each(func() { global += body.importedGlobals() })
		case sectionGlobal:
			global += body.u32()
		case sectionStart:
			exports = appendExport(exports, ExportStart, 0, body.u32())
			added++
		}
	}
	exports = appendExport(exports, exportInterrupt, 3, global)
	parts = slices.DeleteFunc(parts, func(p part) bool { return p.id == sectionStart })
	zero := []byte{0x7f, 1, 0x41, 0, 0x0b} // an i32, mutable, i32.const 0, end
	parts = extend(parts, sectionGlobal, 2, append(zero, zero...))
	parts = extend(parts, sectionExport, added, exports)
	counted := slices.ContainsFunc(parts, func(p part) bool { return p.id == sectionCount })
	out := append(make([]byte, 0, len(code)+len(code)/8), code[:headerSize]...)
	for _, p := range parts {
		if p.id == sectionData {
			p.body = mergeSegments(p.body, counted)
		}
		if p.id == sectionCode {
			body, err := boundCode(p.body, counting(global, global+1))
			if err != nil {
				return nil, err
			}
			p.body = body
		}
		out = append(out, p.id)
		out = binary.AppendUvarint(out, uint64(len(p.body)))
		out = append(out, p.body...)
	}
	return out, nil
}

// importedGlobals reads an import and counts it if it is a global.
func (r *reader) importedGlobals() uint32 {
	r.name()
	r.name()
	if len(r.b) > 0 && r.b[0] == 3 {
		r.take(3)
		return 1
	}
	r.importType()
	return 0
}

func appendExport(b []byte, name string, kind byte, index uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(append(b, name...), kind)
	return binary.AppendUvarint(b, uint64(index))
}

// extend adds n entries to the vector in a section. It creates a section that does not exist.
func extend(parts []part, id byte, n uint32, entries []byte) []part {
	for i, p := range parts {
		if p.id == id {
			r := &reader{b: p.body}
			count := r.u32()
			body := binary.AppendUvarint(nil, uint64(count)+uint64(n))
			parts[i].body = append(append(body, r.b...), entries...)
			return parts
		}
	}
	rank := slices.Index(order, id)
	at := slices.IndexFunc(parts, func(p part) bool { return slices.Index(order, p.id) > rank })
	if at < 0 {
		at = len(parts)
	}
	return slices.Insert(parts, at, part{id, append(binary.AppendUvarint(nil, uint64(n)), entries...)})
}

// counting is the code that is put in, given its two globals.
func counting(interrupt, counter uint32) []byte {
	code := func(op byte, n uint64) []byte { return binary.AppendUvarint([]byte{op}, n) }
	get, set := code(0x23, uint64(counter)), code(0x24, uint64(counter))
	return slices.Concat(
		get, []byte{0x41, 1, 0x6a}, set, // counter++
		get, []byte{0x41, 0x80, 0x80, checkEvery >> 14, 0x4f, 0x04, 0x40}, // if counter >= checkEvery
		[]byte{0x41, 0}, set, // counter = 0
		[]byte{0x41, 0, 0x40, 0, 0x1a},                             // memory.grow(0)
		code(0x23, uint64(interrupt)), []byte{0x04, 0x40, 0, 0x0b}, // if interrupt: unreachable
		[]byte{0x0b})
}

// boundCode rewrites the bodies of all functions.
func boundCode(section, check []byte) ([]byte, error) {
	r := &reader{b: section}
	n := r.count()
	out := binary.AppendUvarint(make([]byte, 0, len(section)+len(section)/8), uint64(n))
	var code []byte
	for i := range n {
		body := r.take(r.u32())
		f := &reader{b: body}
		f.each(func() {
			f.u32()
			f.byte()
		})
		locals := body[:len(body)-len(f.b)]
		var enough bool
		var err error
		code, enough, err = f.instructions(code[:0], check)
		if err != nil {
			return nil, fmt.Errorf("function %d: %w", i, err)
		}
		var entry []byte
		if !enough {
			entry = check
		}
		out = binary.AppendUvarint(out, uint64(len(locals)+len(entry)+len(code)))
		out = append(append(append(out, locals...), entry...), code...)
	}
	return append(out, r.b...), r.err
}

// instructions copies a function's instructions to out, with check at the head of each loop. enough reports whether
// these checks suffice: the function always reaches a loop, or calls nothing and so cannot recurse.
func (r *reader) instructions(out, check []byte) (_ []byte, enough bool, err error) {
	straight, loops, calls := true, false, false
	for len(r.b) > 0 {
		from := r.b
		op := r.byte()
		if !r.immediate(op) {
			return nil, false, fmt.Errorf("unknown instruction %#x", from[:min(len(from), 3)])
		}
		if r.err != nil {
			return nil, false, r.err
		}
		out = append(out, from[:len(from)-len(r.b)]...)
		switch op {
		case 0x03: // loop
			out = append(out, check...)
			loops = loops || straight
		case 0x04, 0x0c, 0x0d, 0x0e, 0x0f: // if, br, br_if, br_table, return
			straight = false
		case 0x10, 0x11: // call, call_indirect
			calls, straight = true, false
		}
	}
	return out, loops || !calls, nil
}

// immediate skips the immediate operands of an opcode of WebAssembly 2.0. It reports whether it knows the opcode.
func (r *reader) immediate(op byte) bool {
	switch {
	case op <= 0x01, op == 0x05, op == 0x0b, op == 0x0f, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op >= 0x02 && op <= 0x04, op == 0x0c, op == 0x0d, op == 0x10, op >= 0x20 && op <= 0x26,
		op >= 0x3f && op <= 0x42, op == 0xd0, op == 0xd2:
		r.leb()
	case op == 0x11, op >= 0x28 && op <= 0x3e: // call_indirect, loads and stores
		r.leb()
		r.leb()
	case op == 0x0e: // br_table
		r.each(r.leb)
		r.leb()
	case op == 0x1c: // select
		r.each(r.leb)
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op == 0xfc:
		return r.bulkImmediate(r.u32())
	case op == 0xfd:
		return r.vectorImmediate(r.u32())
	default:
		return false
	}
	return true
}

// bulkImmediate is immediate for conversions, memories and tables.
func (r *reader) bulkImmediate(op uint32) bool {
	switch {
	case op <= 7:
	case op == 9, op == 11, op == 13, op >= 15 && op <= 17:
		r.leb()
	case op == 8, op == 10, op == 12, op == 14:
		r.leb()
		r.leb()
	default:
		return false
	}
	return true
}

// vectorImmediate is immediate for SIMD.
func (r *reader) vectorImmediate(op uint32) bool {
	switch {
	case op <= 0x0b, op == 0x5c, op == 0x5d:
		r.leb()
		r.leb()
	case op >= 0x54 && op <= 0x5b:
		r.leb()
		r.leb()
		r.byte()
	case op == 0x0c, op == 0x0d:
		r.take(16)
	case op >= 0x15 && op <= 0x22:
		r.byte()
	case op > 0xff:
		return false
	}
	return true
}

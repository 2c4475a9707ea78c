// False counts in a broken binary are found before a compiler reads it: a compiler that trusts them asks the system for
// as much memory as the file says, and the whole process dies of it. Whether the code makes sense is the compiler's
// affair.

package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits that V8 has as well (src/wasm/wasm-limits.h).
const (
	maxLocals    = 50_000
	maxTableSize = 10_000_000
)

// The sections that checked looks into.
const (
	sectionCustom  = 0
	sectionType    = 1
	sectionImport  = 2
	sectionFunc    = 3
	sectionTable   = 4
	sectionMemory  = 5
	sectionGlobal  = 6
	sectionExport  = 7
	sectionStart   = 8
	sectionElement = 9
	sectionCode    = 10
	sectionData    = 11
	sectionCount   = 12
	sectionTag     = 13
)

const headerSize = 8

// errTruncated is a binary that ends too early, or claims to hold more than it does.
var errTruncated = errors.New("the binary is truncated or corrupt")

// checked returns the binary without its custom sections, which a plugin does not need.
func checked(code []byte) ([]byte, error) {
	if len(code) < headerSize {
		return nil, errTruncated
	}
	out := append(make([]byte, 0, len(code)), code[:headerSize]...)
	r := &reader{b: code[headerSize:]}
	for len(r.b) > 0 {
		start := r.b
		id := r.byte()
		body := r.take(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if id == sectionCustom {
			continue
		}
		s := &reader{b: body}
		s.section(id)
		if s.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, s.err)
		}
		out = append(out, start[:len(start)-len(r.b)]...)
	}
	return out, nil
}

// reader takes things off the front of b. After an error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	r.b = nil
	if r.err == nil {
		r.err = errTruncated
	}
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || size > 5 || n>>32 != 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return uint32(n)
}

// leb skips a LEB128 number of any size.
func (r *reader) leb() {
	for r.byte()&0x80 != 0 {
	}
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// count reads the length of a vector. At least one byte must follow for each entry.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// each reads a vector.
func (r *reader) each(entry func()) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		entry()
	}
}

func (r *reader) name() { r.take(r.u32()) }

func (r *reader) section(id byte) {
	switch id {
	case sectionType:
		r.each(func() {
			r.byte()
			r.take(r.u32())
			r.take(r.u32())
		})
	case sectionImport:
		r.each(r.importEntry)
	case sectionFunc:
		r.each(r.leb)
	case sectionTable:
		r.each(r.table)
	case sectionMemory:
		r.each(func() { r.limits() })
	case sectionGlobal:
		r.each(func() {
			r.byte()
			r.byte()
			r.constant()
		})
	case sectionExport:
		r.each(func() {
			r.name()
			r.byte()
			r.leb()
		})
	case sectionElement:
		r.each(r.element)
	case sectionCode:
		r.each(r.function)
	case sectionData:
		r.each(r.data)
	case sectionTag:
		r.each(func() {
			r.byte()
			r.leb()
		})
	case sectionStart, sectionCount:
		r.leb()
	}
}

// limits reads the bounds of a memory or table and returns the lower one.
func (r *reader) limits() uint32 {
	flag := r.byte()
	low := r.u32()
	if flag&1 != 0 {
		r.u32()
	}
	return low
}

func (r *reader) table() {
	r.byte()
	if r.limits() > maxTableSize && r.err == nil {
		r.b, r.err = nil, fmt.Errorf("a table of more than %d entries", maxTableSize)
	}
}

func (r *reader) importEntry() {
	r.name()
	r.name()
	r.importType()
}

func (r *reader) importType() {
	switch r.byte() {
	case 0:
		r.leb()
	case 1:
		r.table()
	case 2:
		r.limits()
	case 3:
		r.byte()
		r.byte()
	case 4:
		r.byte()
		r.leb()
	default:
		r.fail()
	}
}

// function reads a body, whose locals come as counts of a type each.
func (r *reader) function() {
	f := &reader{b: r.take(r.u32())}
	locals := uint64(0)
	f.each(func() {
		locals += uint64(f.u32())
		f.byte()
	})
	switch {
	case r.err != nil:
	case f.err != nil:
		r.fail()
	case locals > maxLocals:
		r.b, r.err = nil, fmt.Errorf("a function of more than %d locals", maxLocals)
	}
}

// constant reads an initializer, up to its end.
func (r *reader) constant() {
	for r.err == nil {
		switch r.byte() {
		case 0x0b:
			return
		case 0x41, 0x42, 0x23, 0xd2, 0xd0: // i32.const i64.const global.get ref.func ref.null
			r.leb()
		case 0x43: // f32.const
			r.take(4)
		case 0x44: // f64.const
			r.take(8)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // arithmetic of the extended-const proposal
		case 0xfd: // v128.const
			r.leb()
			r.take(16)
		default:
			r.fail()
		}
	}
}

// element reads one of the eight forms of an element segment.
func (r *reader) element() {
	form := r.u32()
	if form > 7 {
		r.fail()
		return
	}
	passive, indexed, expressions := form&1 != 0, form&2 != 0, form&4 != 0
	if !passive {
		if indexed {
			r.leb()
		}
		r.constant()
	}
	if passive || indexed {
		r.byte() // the kind or type
	}
	if expressions {
		r.each(r.constant)
	} else {
		r.each(r.leb)
	}
}

// data reads one of the three forms of a data segment.
func (r *reader) data() {
	switch r.u32() {
	case 0:
		r.constant()
	case 1:
	case 2:
		r.leb()
		r.constant()
	default:
		r.fail()
	}
	r.take(r.u32())
}

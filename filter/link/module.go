package main

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Sections of a module (WebAssembly 1.0, section 5.5.2), as far as they matter here.
const (
	importSection   = 2
	functionSection = 3
	globalSection   = 6
	exportSection   = 7
	codeSection     = 10
)

var (
	errNotWasm   = errors.New("not a WebAssembly module")
	errTruncated = errors.New("the module is cut off or damaged")
)

var header = []byte("\x00asm\x01\x00\x00\x00")

// section is one section with its contents.
type section struct {
	id   byte
	body []byte
}

// module is a WebAssembly module in its binary form. What is not changed stays byte for byte.
type module []section

func parseModule(b []byte) (module, error) {
	if !bytes.HasPrefix(b, header) {
		return nil, errNotWasm
	}
	var m module
	for rest := b[len(header):]; len(rest) > 0; {
		body, after, err := sized(rest[1:])
		if err != nil {
			return nil, err
		}
		m = append(m, section{rest[0], body})
		rest = after
	}
	return m, nil
}

func (m module) encode() []byte {
	out := bytes.Clone(header)
	for _, s := range m {
		out = append(out, s.id)
		out = appendSized(out, s.body)
	}
	return out
}

// section returns the section with this id; an empty one, apart from the module, if there is none.
func (m module) section(id byte) *section {
	for i := range m {
		if m[i].id == id {
			return &m[i]
		}
	}
	return &section{id: id, body: []byte{0}}
}

// count returns the number of a section's entries, and their bytes.
func (s *section) count() (n uint64, entries []byte, err error) {
	n, size := binary.Uvarint(s.body)
	if size <= 0 {
		return 0, nil, errTruncated
	}
	return n, s.body[size:], nil
}

// add appends one entry to a section and returns the entry's index in it.
func (s *section) add(entry []byte) (index uint64, err error) {
	n, entries, err := s.count()
	if err != nil {
		return 0, err
	}
	s.body = append(append(binary.AppendUvarint(nil, n+1), entries...), entry...)
	return n, nil
}

// importedFunctions returns the names of the imports, which must all be functions: those come first in the index space of
// functions.
func (m module) importedFunctions() ([]string, error) {
	n, rest, err := m.section(importSection).count()
	if err != nil {
		return nil, err
	}
	var names []string
	for ; n > 0; n-- {
		var name []byte
		for range 2 { // the host module's name, the function's
			if name, rest, err = sized(rest); err != nil {
				return nil, err
			}
		}
		if len(rest) == 0 {
			return nil, errTruncated
		}
		if rest[0] != 0 {
			return nil, errors.New("the module imports more than functions")
		}
		if _, rest, err = number(rest[1:]); err != nil {
			return nil, err
		}
		names = append(names, string(name))
	}
	return names, nil
}

// functionType returns the index of the type of a function that the module defines.
func (m module) functionType(function, imported uint64) (uint64, error) {
	n, rest, err := m.section(functionSection).count()
	if err != nil || function < imported || function-imported >= n {
		return 0, errTruncated
	}
	var t uint64
	for i := imported; i <= function; i++ {
		if t, rest, err = number(rest); err != nil {
			return 0, err
		}
	}
	return t, nil
}

// addFunction appends a function and returns its index. The others keep theirs.
func (m module) addFunction(functionType, imported uint64, code []byte) (uint64, error) {
	index, err := m.section(functionSection).add(binary.AppendUvarint(nil, functionType))
	if err != nil {
		return 0, err
	}
	_, err = m.section(codeSection).add(appendSized(nil, code))
	return imported + index, err
}

// number splits off an unsigned LEB128 number.
func number(b []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, errTruncated
	}
	return n, b[size:], nil
}

// sized splits off bytes with their length before them.
func sized(b []byte) (bytes, rest []byte, err error) {
	size, rest, err := number(b)
	if err != nil || size > uint64(len(rest)) {
		return nil, nil, errTruncated
	}
	return rest[:size], rest[size:], nil
}

func appendSized[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

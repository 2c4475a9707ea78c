package config

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/valyala/fastjson"
)

// Envoy hands a google.protobuf.Struct over in protobuf's wire format (MessageUtil::anyToBytes unwraps only strings
// and bytes), although its documentation says JSON. So that an operator may write the configuration as plain YAML,
// parseStruct reads that format: protobuf's struct.proto, encoded as protobuf.dev/programming-guides/encoding says.

var errStruct = errors.New("not a google.protobuf.Struct")

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// maxDepth bounds nesting, so that no input can exhaust the stack. A configuration needs 7.
const maxDepth = 32

// message calls each for every field of a message. Numbers come as bits, everything else as bytes.
func message(b []byte, each func(field uint64, bits uint64, bytes []byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errStruct
		}
		b = b[n:]
		var bits uint64
		var bytes []byte
		switch tag & 7 {
		case wireVarint:
			if bits, n = binary.Uvarint(b); n <= 0 {
				return errStruct
			}
		case wireFixed64:
			if n = 8; len(b) < n {
				return errStruct
			}
			bits = binary.LittleEndian.Uint64(b)
		case wireBytes:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return errStruct
			}
			n = m + int(size)
			bytes = b[m:n]
		default:
			return errStruct
		}
		b = b[n:]
		if err := each(tag>>3, bits, bytes); err != nil {
			return err
		}
	}
	return nil
}

// parseStruct reads a Struct message as the JSON object it stands for.
func parseStruct(b []byte) (*fastjson.Value, error) {
	return structValue(&fastjson.Arena{}, b, maxDepth)
}

func structValue(a *fastjson.Arena, b []byte, depth int) (*fastjson.Value, error) {
	if depth == 0 {
		return nil, errStruct
	}
	object := a.NewObject()
	err := message(b, func(field, _ uint64, entry []byte) error {
		if field != 1 {
			return errStruct
		}
		key, v := "", a.NewNull()
		err := message(entry, func(field, _ uint64, bytes []byte) (err error) {
			switch field {
			case 1:
				key = string(bytes)
			case 2:
				v, err = valueValue(a, bytes, depth-1)
			default:
				err = errStruct
			}
			return err
		})
		object.Set(key, v)
		return err
	})
	return object, err
}

func valueValue(a *fastjson.Arena, b []byte, depth int) (*fastjson.Value, error) {
	v := a.NewNull()
	err := message(b, func(field, bits uint64, bytes []byte) (err error) {
		switch field {
		case 1:
			v = a.NewNull()
		case 2:
			v = a.NewNumberFloat64(math.Float64frombits(bits))
		case 3:
			v, err = stringValue(a, bytes)
		case 4:
			if v = a.NewFalse(); bits != 0 {
				v = a.NewTrue()
			}
		case 5:
			v, err = structValue(a, bytes, depth)
		case 6:
			v, err = listValue(a, bytes, depth)
		default:
			err = errStruct
		}
		return err
	})
	return v, err
}

// stringValue makes a string. fastjson's Arena escapes control characters as Go does, "\v" and "\x00", which its reader
// does not take back; texts that need an escape are written as JSON here.
func stringValue(a *fastjson.Arena, text []byte) (*fastjson.Value, error) {
	plain := true
	quoted := []byte{'"'}
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			plain = false
			quoted = append(quoted, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		} else {
			quoted = append(quoted, c)
		}
	}
	if plain {
		return a.NewStringBytes(text), nil
	}
	return fastjson.ParseBytes(append(quoted, '"'))
}

func listValue(a *fastjson.Arena, b []byte, depth int) (*fastjson.Value, error) {
	if depth == 0 {
		return nil, errStruct
	}
	list := a.NewArray()
	n := 0
	err := message(b, func(field, _ uint64, bytes []byte) error {
		if field != 1 {
			return errStruct
		}
		v, err := valueValue(a, bytes, depth-1)
		list.SetArrayItem(n, v)
		n++
		return err
	})
	return list, err
}

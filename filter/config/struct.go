package config

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/healthgate/healthgate/filter/lean/json"
)

// Envoy hands a google.protobuf.Struct over in protobuf's wire format (MessageUtil::anyToBytes unwraps only strings
// and bytes), although its documentation says JSON. So that an operator may write the configuration as plain YAML,
// structJSON writes the JSON that such a message stands for: protobuf's struct.proto, encoded as
// protobuf.dev/programming-guides/encoding says.

// Wire types of protobuf; a field's tag is its number × 8 + its wire type.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// fields goes over the fields of a message.
type fields struct {
	rest    []byte
	tag     uint64
	number  uint64 // the value of a field of numbers
	content []byte // the value of any other
	broken  bool
}

func (f *fields) next() bool {
	if len(f.rest) == 0 {
		return false
	}
	f.tag = f.varint()
	switch f.tag & 7 {
	case wireVarint:
		f.number = f.varint()
	case wireFixed64:
		if content := f.take(8); content != nil {
			f.number = binary.LittleEndian.Uint64(content)
		}
	case wireBytes:
		f.content = f.take(f.varint())
	default:
		f.broken = true
	}
	return !f.broken
}

func (f *fields) varint() uint64 {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 {
		f.broken = true
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) take(size uint64) []byte {
	if f.broken || size > uint64(len(f.rest)) {
		f.broken = true
		return nil
	}
	content := f.rest[:size]
	f.rest = f.rest[size:]
	return content
}

// structJSON returns the JSON object that a serialized Struct stands for, or nil if the message is not a Struct.
func structJSON(message []byte) []byte {
	return appendStruct(make([]byte, 0, len(message)+1), message, 0)
}

// appendStruct and the functions below add the JSON of one message to out. They return nil if the message cannot be
// decoded.
func appendStruct(out, message []byte, depth int) []byte {
	if depth == json.MaxDepth {
		return nil
	}
	separator := byte('{')
	f := fields{rest: message}
	for f.next() {
		if f.tag != 1<<3|wireBytes { // fields
			return nil
		}
		var name, value []byte
		entry := fields{rest: f.content}
		for entry.next() {
			switch entry.tag {
			case 1<<3 | wireBytes: // key
				name = entry.content
			case 2<<3 | wireBytes: // value
				value = entry.content
			default:
				return nil
			}
		}
		out = append(appendString(append(out, separator), name), ':')
		if out = appendValue(out, value, depth+1); entry.broken || out == nil {
			return nil
		}
		separator = ','
	}
	if f.broken {
		return nil
	}
	if separator == '{' {
		out = append(out, '{')
	}
	return append(out, '}')
}

func appendList(out, message []byte, depth int) []byte {
	if depth == json.MaxDepth {
		return nil
	}
	separator := byte('[')
	f := fields{rest: message}
	for f.next() {
		if f.tag != 1<<3|wireBytes { // values
			return nil
		}
		if out = appendValue(append(out, separator), f.content, depth+1); out == nil {
			return nil
		}
		separator = ','
	}
	if f.broken {
		return nil
	}
	if separator == '[' {
		out = append(out, '[')
	}
	return append(out, ']')
}

// appendValue adds a Value. Its fields exclude each other, so that the last one counts.
func appendValue(out, message []byte, depth int) []byte {
	start := len(out)
	f := fields{rest: message}
	for f.next() {
		out = out[:start]
		switch f.tag {
		case 1<<3 | wireVarint: // null_value
		case 2<<3 | wireFixed64: // number_value
			out = appendNumber(out, math.Float64frombits(f.number))
		case 3<<3 | wireBytes: // string_value
			out = appendString(out, f.content)
		case 4<<3 | wireVarint: // bool_value
			out = strconv.AppendBool(out, f.number != 0)
		case 5<<3 | wireBytes: // struct_value
			out = appendStruct(out, f.content, depth)
		case 6<<3 | wireBytes: // list_value
			out = appendList(out, f.content, depth)
		default:
			return nil
		}
		if out == nil {
			return nil
		}
	}
	if f.broken {
		return nil
	}
	if len(out) == start {
		return append(out, "null"...)
	}
	return out
}

func appendString(out, text []byte) []byte {
	out = append(out, '"')
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		} else {
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendNumber adds a number, exactly if it is a whole one below 2^53. Of others, none of which a configuration
// needs, it adds what a message about them should show: six digits of a fraction, 16 of a large number. (strconv
// would write all of them well, for 30 kB of code.) What JSON cannot say becomes a string, as in protobuf's own JSON.
func appendNumber(out []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(out, `"NaN"`...)
	}
	if f < 0 {
		out, f = append(out, '-'), -f
	}
	zeros := 0
	for ; f >= 1<<53; f /= 10 {
		zeros++
	}
	whole := uint64(f)
	out = strconv.AppendUint(out, whole, 10)
	switch part := f - float64(whole); {
	case zeros > 0:
		out = strconv.AppendInt(append(out, 'e'), int64(zeros), 10)
	case part > 0:
		// What is not whole must not look as if it were.
		millionths := min(max(uint64(part*1e6+0.5), 1), 999_999)
		digits := strconv.AppendUint(nil, 1_000_000+millionths, 10)
		digits[0] = '.'
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		out = append(out, digits...)
	}
	return out
}

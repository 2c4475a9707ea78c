// Package json reads JSON (RFC 8259) where it stands. Parse checks a text once; after that a value is the part of the
// text that spells it, and a text that is read is never copied, unless it has escapes.
//
// That suits the plugin's large documents, a configuration with 100,000 CIDRs and Envoy's whole runtime: to read them
// takes no memory. A tree of values would, and TinyGo's garbage collector looks for the beginning of an object from
// each pointer into it, so that many strings within one large text take it forever.
package json

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 32

// Value is one value as it is spelled in the text, without blanks around it. "" is a value that is not there.
type Value string

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Absent Kind = iota // not null, but no value at all
	Null
	Bool
	Number
	String
	Array
	Object
)

// String names the kind, with its article.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "a boolean"
	case Number:
		return "a number"
	case String:
		return "a string"
	case Array:
		return "an array"
	case Object:
		return "an object"
	default:
		return "absent"
	}
}

// Parse checks that the text is one JSON value and returns it. It takes what encoding/json.Valid takes, if it nests no
// deeper than MaxDepth; the error is a *SyntaxError. The text must not change as long as its values are used.
func Parse(text []byte) (Value, error) {
	s := unsafe.String(unsafe.SliceData(text), len(text))
	start := blanks(s, 0)
	end, expected := scan(s, start, 0)
	if expected == "" {
		if after := blanks(s, end); after < len(s) {
			end, expected = after, "nothing more"
		}
	}
	if expected != "" {
		return "", syntaxError(s, end, expected)
	}
	return Value(s[start:end]), nil
}

// Kind returns what the value is.
func (v Value) Kind() Kind {
	if v == "" {
		return Absent
	}
	switch v[0] {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	default:
		return Number
	}
}

// IsTrue reports whether the value is true.
func (v Value) IsTrue() bool { return v == "true" }

// Walk goes over the items of an array or the members of an object, in their order, also over names that stand there
// twice. For anything else it ends at once.
//
//	for w := v.Walk(); w.Next(); {
//		use(w.Value)
//	}
type Walk struct {
	Name  Value // the member's name, a string; "" for an item
	Value Value

	rest   string // what follows, from a comma on but for the first time
	object bool
}

// Walk starts before the first item or member.
func (v Value) Walk() Walk {
	kind := v.Kind()
	if kind != Array && kind != Object {
		return Walk{}
	}
	return Walk{rest: string(v[1 : len(v)-1]), object: kind == Object}
}

// Next goes on to the next item or member, and reports whether there is one.
func (w *Walk) Next() bool {
	i := blanks(w.rest, 0)
	if i == len(w.rest) {
		return false
	}
	if w.rest[i] == ',' {
		i = blanks(w.rest, i+1)
	}
	if w.object {
		start := i
		i, _ = scanString(w.rest, start)
		w.Name = Value(w.rest[start:i])
		i = blanks(w.rest, blanks(w.rest, i)+1) // the colon, with blanks on both sides
	}
	end, _ := scan(w.rest, i, 0)
	w.Value, w.rest = Value(w.rest[i:end]), w.rest[end:]
	return true
}

// Member returns the first member of an object with this name; absent if there is none, or if v is no object.
func (v Value) Member(name string) Value {
	for w := v.Walk(); w.Next(); {
		if text, _ := w.Name.Text(); text == name {
			return w.Value
		}
	}
	return ""
}

// Text returns the text of a string, "" for anything else. valid is false if it was no Unicode: invalid UTF-8, or an
// escape that is half of a surrogate pair; in their places stands U+FFFD. Whoever keeps the text keeps the whole
// document in memory, unless he copies it with strings.Clone.
func (v Value) Text() (text string, valid bool) {
	if v.Kind() != String {
		return "", false
	}
	inner := string(v[1 : len(v)-1])
	if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
		return inner, true
	}
	return unescape(inner)
}

func unescape(s string) (text string, valid bool) {
	out := make([]byte, 0, len(s))
	valid = true
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			r, size := utf8.DecodeRuneInString(s[i:])
			valid = valid && (r != utf8.RuneError || size > 1)
			out = utf8.AppendRune(out, r)
			i += size
			continue
		}
		if s[i+1] != 'u' {
			out = append(out, "\"\\/\b\f\n\r\t"[strings.IndexByte(simpleEscapes, s[i+1])])
			i += 2
			continue
		}
		r := hex(s[i+2 : i+6])
		i += 6
		if 0xd800 <= r && r < 0xdc00 && len(s)-i >= 6 && s[i] == '\\' && s[i+1] == 'u' {
			if low := hex(s[i+2 : i+6]); 0xdc00 <= low && low < 0xe000 {
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				i += 6
			}
		}
		valid = valid && utf8.ValidRune(r)
		out = utf8.AppendRune(out, r) // U+FFFD for half a pair
	}
	return string(out), valid
}

func hex(digits string) (r rune) {
	for i := 0; i < len(digits); i++ {
		c := rune(digits[i])
		if c >= 'A' {
			c = c&^0x20 - 'A' + '9' + 1
		}
		r = r<<4 + c - '0'
	}
	return r
}

// Whole returns a number that is a whole one from 0 to 4294967295, however it is spelled: 200, 2e2 and 200.0 are one.
// The spelling counts, not what a float64 makes of it.
func (v Value) Whole() (n uint32, ok bool) {
	if v.Kind() != Number || v[0] == '-' {
		return 0, false
	}
	// The value is digits × 10^zeros, where digits does not end in a zero.
	digits, zeros := uint64(0), 0
	fraction, pending := false, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '.':
			fraction = true
			continue
		case c|0x20 == 'e':
			zeros += exponent(string(v[i+1:]))
			i = len(v)
			continue
		case fraction:
			zeros--
			fallthrough
		default:
			if pending++; c == '0' {
				continue
			}
			for ; pending > 0 && digits < 1<<32; pending-- {
				digits *= 10
			}
			pending = 0
			if digits += uint64(c - '0'); digits >= 1<<32 {
				return 0, false // too large, or with too many digits to be whole
			}
		}
	}
	if digits == 0 {
		return 0, true
	}
	for zeros += pending; zeros > 0 && digits < 1<<32; zeros-- {
		digits *= 10
	}
	return uint32(digits), zeros == 0 && digits < 1<<32
}

// exponent reads the number after an e. It stops where no document is long enough to make up for it.
func exponent(s string) (n int) {
	for i := 0; i < len(s) && n < 1<<24; i++ {
		if '0' <= s[i] && s[i] <= '9' {
			n = n*10 + int(s[i]-'0')
		}
	}
	if s[0] == '-' {
		return -n
	}
	return n
}

package wasm

import (
	"bytes"
	"testing"
)

const header = "\x00asm\x01\x00\x00\x00"

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, out string
		ok            bool
	}{
		{"nothing", header, header, true},
		{"no header", "\x00asm", "", false},
		{"custom sections go", header + "\x00\x03\x01ab" + "\x03\x01\x00" + "\x00\x01\x00", header + "\x03\x01\x00", true},
		{"a section longer than the file", header + "\x03\x09\x00", "", false},
		{"a size that does not end", header + "\x03\x80", "", false},
		{"more exports than bytes", header + "\x07\x05\xff\xff\xff\xff\x0f", "", false},
		{"more parameters than bytes", header + "\x01\x06\x01\x60\xff\xff\xff\x0f", "", false},
		{"a type", header + "\x01\x06\x01\x60\x01\x7f\x01\x7f", header + "\x01\x06\x01\x60\x01\x7f\x01\x7f", true},
		{"an import of each kind", header + "\x02\x17\x05\x00\x00\x00\x00\x00\x00\x01\x70\x00\x01" +
			"\x00\x00\x02\x00\x01\x00\x00\x03\x7f\x00\x00\x00", "", false},
		{"an import of an unknown kind", header + "\x02\x04\x01\x00\x00\x09", "", false},
		{"a huge table", header + "\x04\x07\x01\x70\x00\xff\xff\xff\x7f", "", false},
		{"a table", header + "\x04\x04\x01\x70\x00\x10", header + "\x04\x04\x01\x70\x00\x10", true},
		{"a memory with a maximum", header + "\x05\x04\x01\x01\x01\x02", header + "\x05\x04\x01\x01\x01\x02", true},
		{"a global", header + "\x06\x06\x01\x7f\x00\x41\x2a\x0b", header + "\x06\x06\x01\x7f\x00\x41\x2a\x0b", true},
		{"a global of nonsense", header + "\x06\x06\x01\x7f\x00\x00\x2a\x0b", "", false},
		{"a function with too many locals", header + "\x0a\x09\x01\x07\x01\xff\xff\xff\x0f\x7f\x0b", "", false},
		{"a function", header + "\x0a\x06\x01\x04\x01\x02\x7f\x0b", header + "\x0a\x06\x01\x04\x01\x02\x7f\x0b", true},
		{"a function longer than its section", header + "\x0a\x03\x01\x09\x00", "", false},
		{"elements", header + "\x09\x07\x01\x00\x41\x00\x0b\x01\x00", header + "\x09\x07\x01\x00\x41\x00\x0b\x01\x00", true},
		{"elements by expression",
			header + "\x09\x07\x01\x05\x70\x01\xd2\x00\x0b", header + "\x09\x07\x01\x05\x70\x01\xd2\x00\x0b", true},
		{"elements of no form", header + "\x09\x02\x01\x08", "", false},
		{"data", header + "\x0b\x07\x01\x00\x41\x00\x0b\x01a", header + "\x0b\x07\x01\x00\x41\x00\x0b\x01a", true},
		{"passive data", header + "\x0b\x04\x01\x01\x01a", header + "\x0b\x04\x01\x01\x01a", true},
		{"more data than bytes", header + "\x0b\x07\x01\x01\xff\xff\xff\x0fa", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := checked([]byte(c.in))
			if (err == nil) != c.ok || c.ok && string(out) != c.out {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// FuzzCheck looks for panics and long runs. If checking the result changes nothing, the result is complete.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(header + "\x0b\x07\x01\x00\x41\x00\x0b\x01a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := checked(in)
		if err != nil {
			return
		}
		again, err := checked(out)
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("%q: %q, then %q, %v", in, out, again, err)
		}
	})
}

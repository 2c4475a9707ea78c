package wasm

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// sections of a module with one function of type () -> () and a memory.
const (
	typeAndFunc = "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00"
	memory      = "\x05\x03\x01\x00\x01"
)

func code(body string) string {
	f := "\x00" + body // no locals
	return "\x0a" + string(rune(len(f)+2)) + "\x01" + string(rune(len(f))) + f
}

// The globals that TestInterruptible expects, and the code that uses them.
const (
	globals = "\x06\x0b\x02\x7f\x01\x41\x00\x0b\x7f\x01\x41\x00\x0b"
	exports = "\x07\x15\x01\x11" + exportInterrupt + "\x03\x00"
	check   = "\x23\x01\x41\x01\x6a\x24\x01\x23\x01\x41\x80\x80\x01\x4f\x04\x40\x41\x00\x24\x01" +
		"\x41\x00\x40\x00\x1a\x23\x00\x04\x40\x00\x0b\x0b"
)

func TestInterruptible(t *testing.T) {
	t.Parallel()
	const prefix, made = header + typeAndFunc + memory, header + typeAndFunc + memory + globals + exports
	for _, c := range []struct{ name, in, out, err string }{
		{"no memory", header + typeAndFunc + code("\x0b"), header + typeAndFunc + code("\x0b"), ""},
		{"a section of no memories", header + typeAndFunc + "\x05\x01\x00" + code("\x10\x00\x0b"),
			header + typeAndFunc + "\x05\x01\x00" + code("\x10\x00\x0b"), ""},
		{"nothing to bound", prefix + code("\x0b"), made + code("\x0b"), ""},
		{"a loop", prefix + code("\x03\x40\x0c\x00\x0b\x0b"), made + code("\x03\x40"+check+"\x0c\x00\x0b\x0b"), ""},
		{"recursion", prefix + code("\x10\x00\x0b"), made + code(check+"\x10\x00\x0b"), ""},
		{"recursion in a loop", prefix + code("\x03\x40\x10\x00\x0b\x0b"),
			made + code("\x03\x40"+check+"\x10\x00\x0b\x0b"), ""},
		{"recursion past a loop", prefix + code("\x41\x00\x0d\x00\x03\x40\x0b\x10\x00\x0b"),
			made + code(check+"\x41\x00\x0d\x00\x03\x40"+check+"\x0b\x10\x00\x0b"), ""},
		{"what looks like a loop", prefix + code("\x41\x03\x1a\x44\x03\x03\x03\x03\x03\x03\x03\x03\x1a\x0b"),
			made + code("\x41\x03\x1a\x44\x03\x03\x03\x03\x03\x03\x03\x03\x1a\x0b"), ""},
		{"a start section", prefix + "\x08\x01\x00" + code("\x0b"), prefix + globals +
			"\x07\x25\x02\x0d" + ExportStart + "\x00\x00\x11" + exportInterrupt + "\x03\x00" + code("\x0b"), ""},
		{"no instruction", prefix + code("\xff\x0b"), "", "function 0: unknown instruction"},
		{"an instruction without its end", prefix + code("\x44\x00"), "", "truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := interruptible([]byte(c.in))
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q in it", err, c.err)
				}
			case err != nil || string(out) != c.out:
				t.Errorf("%q, %v; want\n%q", out, err, c.out)
			}
		})
	}
}

// FuzzInterruptible compiles what comes out: it must be as good as what went in.
func FuzzInterruptible(f *testing.F) {
	for _, body := range []string{
		"\x0b", "\x03\x40\x0c\x00\x0b\x0b", "\x10\x00\x0b", "\x41\x00\x0d\x00\x03\x40\x0b\x10\x00\x0b",
		"\x41\x00\x0e\x01\x00\x00\x0b", "\x41\x00\xfd\x0f\xfd\x15\x01\x1a\x0b", "\x41\x00\xfd\x00\x00\x00\x1a\x0b",
		"\xfd\x0c0123456789abcdef\x1a\x0b", "\x41\x00\x41\x00\x41\x00\xfc\x0b\x00\x0b",
		"\x43\x00\x00\x00\x00\xfc\x00\x1a\x0b",
		"\x41\x00\x28\x02\x00\x1a\x0b", "\x41\x01\x41\x02\x41\x03\x1c\x01\x7f\x1a\x0b", "\xd0\x70\xd1\x1a\x0b",
		"\x41\x00\xfd\x0f\x41\x00\xfd\x57\x00\x00\x00\x1a\x0b",
	} {
		f.Add([]byte(header + typeAndFunc + memory + code(body)))
	}
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	f.Cleanup(func() { _ = rt.Close(ctx) })
	f.Fuzz(func(t *testing.T, in []byte) {
		in, err := checked(in)
		if err != nil {
			return
		}
		c, err := rt.CompileModule(ctx, in)
		if err != nil {
			return
		}
		_ = c.Close(ctx)
		out, err := interruptible(in)
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		c, err = rt.CompileModule(ctx, out)
		if err != nil {
			t.Fatalf("%q, interruptible %q: %v", in, out, err)
		}
		_ = c.Close(ctx)
	})
}

package hostsim

import (
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// hostCall is one function of the ABI that a plugin can import, and a row of a table. Its signature gives its Wasm
// type, how the trace shows it, and what is checked before fn. It has the letters of wasm.Func: texts and maps in lie
// within the memory. The first argument has two more: m is the type of a header map, b the type of a buffer. t is a
// text that fn checks itself, behind something else.
type hostCall struct {
	name, sig string
	// void is set for the functions that return nothing.
	void bool
	// inStart and inAlloc are whether the guest may call it in those phases.
	inStart, inAlloc bool
	fn               func(v *vm, a []uint64) status
}

// hostCalls are the functions of an ABI version.
func hostCalls(abi abiVersion) []wasm.Func {
	var funcs []wasm.Func
	for _, rows := range [][]hostCall{generalCalls, httpCalls, sharedCalls, calloutCalls, runtimeCalls} {
		for _, row := range rows {
			if row.name == "proxy_get_log_level" && abi != abi021 {
				continue
			}
			var count uint32 // of the types that the first argument can name; 0 if it is no type
			switch {
			case strings.HasPrefix(row.sig, "m"):
				count = uint32(mapTypeMax) + 1
			case strings.HasPrefix(row.sig, "b"):
				count = uint32(bufferTypeMax) + 1
			}
			f := wasm.Func{
				Module: "env", Name: row.name, Sig: strings.NewReplacer("m", "u", "b", "u", "t", "s").Replace(row.sig),
				Void: row.void, InStart: row.inStart, InAlloc: row.inAlloc,
			}
			var given []int // where in the words texts and maps are
			f.EachArg(func(kind rune, word int) {
				if kind == 's' && !strings.Contains(row.sig, "t") || kind == 'h' {
					given = append(given, word)
				}
			})
			f.Fn = func(i *wasm.Instance, a []uint64) uint32 {
				if count > 0 && uint32(a[0]) >= count {
					return uint32(statusBadArgument)
				}
				for _, word := range given {
					if _, ok := i.Bytes(a[word], a[word+1]); !ok {
						return uint32(statusInvalidMemoryAccess)
					}
				}
				return uint32(row.fn(i.Host.(*vm), a))
			}
			funcs = append(funcs, f)
		}
	}
	return funcs
}

// A vm is the wasm.Host of its instance.

// Import makes a call of the guest's.
func (v *vm) Import(f *wasm.Func, args []uint64) uint32 {
	if v.host.tracing() {
		return v.traced(f, args)
	}
	return f.Fn(v.Instance, args)
}

// text is a text that was checked to lie within the memory, and bytes are the memory itself.
func (v *vm) text(ptr, size uint64) string { return string(v.bytes(ptr, size)) }

func (v *vm) bytes(ptr, size uint64) []byte {
	b, _ := v.Bytes(ptr, size)
	return b
}

// Print logs standard output as info and standard error as error, without a newline at the end.
func (v *vm) Print(stderr bool, text string) {
	if v.output != nil && !stderr {
		*v.output = append(*v.output, text...)
		return
	}
	e := LogEntry{Level: LogInfo, Message: strings.TrimSuffix(text, "\n")}
	if stderr {
		e.Level, e.written = LogError, text
	}
	v.logEntry(e)
}

// Env is the environment of the plugin.
func (v *vm) Env() []string { return v.plugin.env }

// Clock is the host's.
func (v *vm) Clock() wasm.Clock { return v.host.time }

// Random fills b from the host's seed.
func (v *vm) Random(b []byte) { _, _ = v.host.random.Read(b) } // which cannot fail

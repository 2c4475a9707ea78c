package wasm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Host makes the host calls of an instance's guest, and provides the environment, clock and randomness of WASI.
type Host interface {
	// Import calls f.Fn for the guest, and may look at the call before and after.
	Import(f *Func, args []uint64) uint32
	// Print gets the text that the guest writes to standard output or error.
	Print(stderr bool, text string)
	Env() []string
	Clock() Clock
	Random(b []byte)
}

// Clock is the time that a guest sees.
type Clock interface {
	Realtime() time.Time
	Monotonic() int64      // nanoseconds
	Spend(d time.Duration) // lets time pass
}

// Phase is the phase of an instance's life. It limits which functions the guest may call.
type Phase int

// The phases. The host sets them.
const (
	Running    Phase = iota // anything linked
	Starting                // its start functions
	Allocating              // its allocator
)

// Trap makes the guest trap when a host function panics with it.
type Trap string

func (t Trap) Error() string { return string(t) }

// maxDepth is how deep calls into a guest may nest: a callback makes a host call, which asks the guest for memory, or
// calls a function that makes host calls.
const maxDepth = 8

// Instance is a module with a memory. It is not safe for concurrent use.
type Instance struct {
	Host  Host
	Phase Phase

	mod      api.Module
	mem      api.Memory
	ctx      context.Context
	profile  *Profile
	watchdog *Watchdog
	// interrupt makes the running call trap soon.
	interrupt api.MutableGlobal

	depth  int
	polls  int
	stacks [maxDepth][8]uint64
}

// instanceKey finds the instance in the context of a call.
type instanceKey struct{}

// Instantiate gives a module a memory. It runs nothing of it.
func (m *Module) Instantiate(host Host, w *Watchdog) (i *Instance, err error) {
	defer recovered(&err)
	i = &Instance{Host: host, Phase: Starting, profile: m.profile, watchdog: w}
	i.ctx = context.WithValue(context.Background(), instanceKey{}, i)
	making := experimental.WithMemoryAllocator(i.ctx, experimental.MemoryAllocatorFunc(newLinearMemory))
	cfg := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	if i.mod, err = m.runtime.InstantiateModule(making, m.compiled, cfg); err != nil {
		return nil, plain(err)
	}
	i.mem = i.mod.Memory()
	i.interrupt = i.mod.ExportedGlobal(exportInterrupt).(api.MutableGlobal)
	return i, nil
}

// recovered turns a panic into an error: random bytes that make the engine panic must not end the process.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%v", r)
	}
}

// plain is an error of the engine's without the guest's stack.
func plain(err error) error {
	if trap := Trap(""); errors.As(err, &trap) {
		return trap
	}
	text, _, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	return errors.New(strings.TrimSpace(text))
}

// Function is an exported function; nil if the module does not export it.
func (i *Instance) Function(name string) api.Function { return i.mod.ExportedFunction(name) }

// Call calls a function of the guest.
func (i *Instance) Call(fn api.Function, args ...uint64) (result uint32, err error) {
	phase, dog := i.Phase, i.watchdog
	if i.depth == maxDepth {
		return 0, Trap("host calls and functions of the plugin call each other without end")
	}
	if i.depth == 0 {
		i.polls = 0
		dog.begin(i)
	}
	stack := i.stacks[i.depth][:]
	copy(stack, args)
	i.depth++
	err = i.invoke(fn, stack)
	i.depth--
	late := err != nil && dog.struck()
	if i.depth == 0 && !dog.end() {
		late = true
	}
	i.Phase = phase
	switch {
	case late:
		return 0, Trap(fmt.Sprintf("the call took longer than %v of real time", dog.Limit))
	case err != nil:
		return 0, plain(err)
	}
	return uint32(stack[0]), nil
}

func (i *Instance) invoke(fn api.Function, stack []uint64) (err error) {
	defer recovered(&err)
	return fn.CallWithStack(i.ctx, stack)
}

// Close frees the memory.
func (i *Instance) Close() { _ = i.mod.Close(context.Background()) } // nothing in it can fail

// MemoryBytes is the size of the memory.
func (i *Instance) MemoryBytes() int { return int(i.mem.Size()) }

// Bytes is guest memory itself, not a copy: it is gone with the next call into the
// guest. ok is false if any of it lies outside.
func (i *Instance) Bytes(ptr, size uint64) (b []byte, ok bool) {
	ptr, size = uint64(uint32(ptr)), uint64(uint32(size))
	if ptr+size > math.MaxUint32 {
		return nil, false
	}
	return i.mem.Read(uint32(ptr), uint32(size))
}

// Text is a copy of guest memory.
func (i *Instance) Text(ptr, size uint64) (string, bool) {
	b, ok := i.Bytes(ptr, size)
	return string(b), ok
}

// Read32 reads a number.
func (i *Instance) Read32(ptr uint64) (uint32, bool) {
	if ptr > math.MaxUint32 {
		return 0, false
	}
	return i.mem.ReadUint32Le(uint32(ptr))
}

// Write32 writes a number. It reports false if there is no such memory.
func (i *Instance) Write32(ptr uint64, x uint32) bool { return i.mem.WriteUint32Le(uint32(ptr), x) }

// Write64 is Write32 for a large number.
func (i *Instance) Write64(ptr, x uint64) bool { return i.mem.WriteUint64Le(uint32(ptr), x) }

//go:build wasm

package host

import "unsafe"

// The getters below hand the host's answers out in a buffer that is used again and again. The host allocates what it
// returns through the module's proxy_on_memory_allocate; filter/link makes that allocate, below. While scratch is open,
// allocate takes from the buffer, so that a health check leaves no garbage.

var scratch [8 << 10]byte // a check's own needs are a few hundred bytes

func init() {
	Entry.Scratch = address(unsafe.Pointer(&scratch))
	Entry.ScratchStop = Entry.Scratch + uint32(len(scratch))
	Entry.PathName = address(pointer(":path"))
}

func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

// OpenScratch is called before a callback's first host call, and CloseScratch after its last. What the host returns in
// between is gone by the next OpenScratch.
func OpenScratch() {
	Entry.ScratchNext, Entry.ScratchEnd = Entry.Scratch, Entry.ScratchStop
}

// CloseScratch makes what the host returns live on the heap again.
func CloseScratch() { Entry.ScratchNext, Entry.ScratchEnd = 0, 0 }

// PassUnless makes requests pass without the plugin, unless their path, up to a query if it has one, is as long as one of
// lengths, which ascend and have a 0 behind the last. No lengths: the plugin sees every request.
func PassUnless(lengths []uint32) { Entry.Lengths = address(unsafe.Pointer(unsafe.SliceData(lengths))) }

func allocate(size uint32) unsafe.Pointer {
	if size-1 < Entry.ScratchEnd-Entry.ScratchNext { // 0 bytes are not asked for, and would not be
		used := Entry.ScratchNext - Entry.Scratch
		Entry.ScratchNext += (size + 7) &^ 7
		return unsafe.Pointer(&scratch[used])
	}
	return unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
}

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(mapType uint32, key unsafe.Pointer, keySize uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(mapType uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_property
func proxyGetProperty(path unsafe.Pointer, pathSize uint32, value, size unsafe.Pointer) uint32

//go:wasmimport env proxy_get_shared_data
func proxyGetSharedData(key unsafe.Pointer, keySize uint32, value, size, cas unsafe.Pointer) uint32

// result is where the host writes where its answer is.
var result struct {
	value unsafe.Pointer
	size  uint32
	cas   uint32
}

const (
	statusOK          = 0
	httpRequestHeader = 0 // of proxy-wasm's map types
)

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

// RequestHeader returns a request header, its values joined with commas.
func RequestHeader(name string) (string, bool) {
	if proxyGetHeaderMapValue(httpRequestHeader, pointer(name), uint32(len(name)),
		unsafe.Pointer(&result.value), unsafe.Pointer(&result.size)) != statusOK {
		return "", false
	}
	return unsafe.String((*byte)(result.value), result.size), true
}

// RequestHeaders returns all request headers.
func RequestHeaders() Headers {
	if proxyGetHeaderMapPairs(httpRequestHeader, unsafe.Pointer(&result.value), unsafe.Pointer(&result.size)) != statusOK {
		return nil
	}
	return unsafe.Slice((*byte)(result.value), result.size)
}

// Property returns an attribute of Envoy; the parts of its path are separated by zero bytes.
func Property(path string) (string, bool) {
	if proxyGetProperty(pointer(path), uint32(len(path)),
		unsafe.Pointer(&result.value), unsafe.Pointer(&result.size)) != statusOK {
		return "", false
	}
	return unsafe.String((*byte)(result.value), result.size), true
}

// SharedData returns a value of shared data with its CAS number.
func SharedData(key string) (value []byte, cas uint32, ok bool) {
	if proxyGetSharedData(pointer(key), uint32(len(key)),
		unsafe.Pointer(&result.value), unsafe.Pointer(&result.size), unsafe.Pointer(&result.cas)) != statusOK {
		return nil, 0, false
	}
	return unsafe.Slice((*byte)(result.value), result.size), result.cas, true
}

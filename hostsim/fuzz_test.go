package hostsim_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// FuzzModule loads random bytes, and modules with something broken in them.
func FuzzModule(f *testing.F) {
	good := tiny(abi020, wasmFunc{name: "proxy_on_request_headers", params: types(3), results: types(1),
		code: i32const(0)}).bytes()
	f.Add([]byte{})
	f.Add([]byte("\x00asm"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add(good)
	for n := range len(good) / 4 {
		f.Add(good[:4*n])
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		host, err := hostsim.New(wasm, hostsim.CallDeadline(50*time.Millisecond))
		if err != nil {
			return
		}
		host.Worker(0).Get("/")
		host.Close()
	})
}

// fuzzCalls are host calls, by name and Wasm type, that FuzzHostCall makes.
var fuzzCalls = []wasmImport{
	{"env", "proxy_log", types(3), types(1)},
	{"env", "proxy_get_property", types(4), types(1)},
	{"env", "proxy_set_property", types(4), types(1)},
	{"env", "proxy_get_header_map_value", types(5), types(1)},
	{"env", "proxy_add_header_map_value", types(5), types(1)},
	{"env", "proxy_set_header_map_pairs", types(3), types(1)},
	{"env", "proxy_get_header_map_pairs", types(3), types(1)},
	{"env", "proxy_get_buffer_bytes", types(5), types(1)},
	{"env", "proxy_set_buffer_bytes", types(5), types(1)},
	{"env", "proxy_send_local_response", types(8), types(1)},
	{"env", "proxy_http_call", types(10), types(1)},
	{"env", "proxy_grpc_call", types(12), types(1)},
	{"env", "proxy_call_foreign_function", types(6), types(1)},
	{"env", "proxy_set_shared_data", types(5), types(1)},
	{"env", "proxy_get_shared_data", types(5), types(1)},
	{"env", "proxy_register_shared_queue", types(3), types(1)},
	{"env", "proxy_dequeue_shared_queue", types(3), types(1)},
	{"env", "proxy_define_metric", types(4), types(1)},
	{"env", "proxy_set_effective_context", types(1), types(1)},
	{"env", "proxy_continue_stream", types(1), types(1)},
	{"env", "proxy_close_stream", types(1), types(1)},
	{"wasi_snapshot_preview1", "fd_write", types(4), types(1)},
	{"wasi_snapshot_preview1", "random_get", types(2), types(1)},
	{"wasi_snapshot_preview1", "environ_get", types(2), types(1)},
	{"wasi_snapshot_preview1", "poll_oneoff", types(4), types(1)},
}

// FuzzHostCall makes one host call with any arguments, from any of three callbacks.
func FuzzHostCall(f *testing.F) {
	for i := range fuzzCalls {
		f.Add(uint8(i), uint8(i), []byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff})
		f.Add(uint8(i), uint8(i+1), []byte{0, 0, 0, 0, 16, 0, 0, 0, 32, 0, 0, 0, 16, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, which, callback uint8, args []byte) {
		call := fuzzCalls[int(which)%len(fuzzCalls)]
		var code []byte
		for i := range call.params {
			n := uint32(i)
			if len(args) >= 4*i+4 {
				n = binary.LittleEndian.Uint32(args[4*i:])
			}
			code = sleb(append(code, 0x41), int32(n))
		}
		code = append(code, 0x10, 0)
		at := []wasmFunc{
			{name: "proxy_on_request_headers", params: types(3), results: types(1), code: code},
			{name: "proxy_on_response_body", params: types(3), results: types(1), code: code},
			{name: "proxy_on_vm_start", params: types(2), results: types(1), code: append(code, 0x1a, 0x41, 1)},
		}[int(callback)%3]
		m := tiny(abi020, at)
		m.imports = []wasmImport{call}
		host, err := hostsim.New(m.bytes(), hostsim.CallDeadline(time.Second), hostsim.Env("K", "V"),
			hostsim.Upstream("", echo))
		if err != nil {
			return
		}
		host.Trace()
		host.Worker(0).Do(&hostsim.Request{Method: "POST", Body: []byte("body")})
		host.Advance(time.Second)
		host.Close()
	})
}

// sleb appends a signed number.
func sleb(b []byte, n int32) []byte {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

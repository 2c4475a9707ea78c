package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// built makes a small module as a compiler would: two imported functions, env.called and the host call that an entry
// makes, then one function for each export, of its export's type, that calls the first and returns 0 if it returns
// anything. It exports its memory too.
func built(exports ...string) []byte {
	types := map[string]byte{
		"_initialize": 0, "healthgate_entry": 1, "healthgate_on_memory_allocate": 2, "healthgate_on_done": 2,
		"healthgate_on_context_create": 3, "healthgate_on_request_headers": 4, "healthgate_on_response_headers": 4,
	}
	vector := func(entries ...[]byte) []byte {
		return append([]byte{byte(len(entries))}, bytes.Join(entries, nil)...)
	}
	var functions, names, codes [][]byte
	for i, name := range exports {
		functions = append(functions, []byte{types[name]})
		names = append(names, append(appendSized(nil, name), functionExport, byte(i+2)))
		body := []byte{0, opCall, 0}
		if t := types[name]; t != 0 && t != 3 {
			body = append(body, opI32Const, 0)
		}
		codes = append(codes, appendSized(nil, append(body, opEnd)))
	}
	names = append(names, append(appendSized(nil, "memory"), 2, 0))
	return module{
		{1, vector([]byte{0x60, 0, 0}, []byte{0x60, 0, 1, typeI32}, []byte{0x60, 1, typeI32, 1, typeI32},
			[]byte{0x60, 2, typeI32, typeI32, 0}, []byte{0x60, 3, typeI32, typeI32, typeI32, 1, typeI32},
			[]byte{0x60, 5, typeI32, typeI32, typeI32, typeI32, typeI32, 1, typeI32})},
		{importSection, vector([]byte("\x03env\x06called\x00\x00"),
			append(appendSized([]byte("\x03env"), getHeaderFunction), 0, 5))},
		{functionSection, vector(functions...)},
		{5, vector([]byte{0, 1})}, // a memory
		{globalSection, vector([]byte{typeI32, 0, opI32Const, 7, opEnd})},
		{exportSection, vector(names...)},
		{codeSection, vector(codes...)},
		{0, []byte("\x01xy")},
	}.encode()
}

// whole lists the exports that the plugin must have.
var whole = []string{
	"_initialize", "healthgate_entry", "healthgate_on_memory_allocate", "healthgate_on_context_create",
	"healthgate_on_done", "healthgate_on_request_headers", "healthgate_on_response_headers",
}

func exportsOf(t *testing.T, b []byte) []export {
	t.Helper()
	m, err := parseModule(b)
	if err != nil {
		t.Fatal(err)
	}
	exports, err := parseExports(m.section(exportSection))
	if err != nil {
		t.Fatal(err)
	}
	return exports
}

func TestLink(t *testing.T) {
	t.Parallel()
	in := built(append([]string{"proxy_on_tick", "proxy_on_done", "proxy_on_log", "proxy_on_request_body"}, whole...)...)
	out, err := link(in)
	if err != nil {
		t.Fatal(err)
	}
	// Imported are functions 0 and 1, then come the eleven of the module, then the entries in their order.
	want := []export{
		{"proxy_on_tick", functionExport, 2}, {"_initialize", functionExport, 13},
		{"proxy_on_memory_allocate", functionExport, 14}, {"proxy_on_context_create", functionExport, 15},
		{"proxy_on_done", functionExport, 16}, {"proxy_on_request_headers", functionExport, 18},
		{"proxy_on_response_headers", functionExport, 17}, {"memory", 2, 0},
	}
	if got := exportsOf(t, out); !slices.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !bytes.HasSuffix(out, []byte("\x00\x03\x01xy")) {
		t.Error("the section that link does not know has changed")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	linked, err := link(built(whole...))
	if err != nil {
		t.Fatal(err)
	}
	plugin := built(whole...)
	for _, tt := range []struct {
		name   string
		module []byte
		want   error
	}{
		{"empty", nil, errNotWasm},
		{"text", []byte("package main"), errNotWasm},
		{"cut off", plugin[:len(plugin)-1], errTruncated},
		{"cut off among the exports", append(bytes.Clone(header), exportSection, 2, 1, 9), errTruncated},
		{"another plugin", built("proxy_on_done"), errNotOurs},
		{"linked already", linked, errNotOurs},
	} {
		if _, err := link(tt.module); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for i, missing := range whole {
		_, err := link(built(slices.Delete(slices.Clone(whole), i, i+1)...))
		name := strings.Replace(missing, own+"on_", "proxy_on_", 1)
		if err == nil || !strings.Contains(err.Error(), "exports no function "+name) {
			t.Errorf("without %s: got %v", missing, err)
		}
	}
}

func FuzzLink(f *testing.F) {
	f.Add(built(whole...))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, err := link(in); err == nil && !bytes.HasPrefix(out, in[:8]) {
			t.Errorf("%q became %q", in, out)
		}
	})
}

// The built plugin offers a host what it needs, and nothing that would cost a stream an entry into the VM for nothing.
func TestExportsOfTheBuiltPlugin(t *testing.T) {
	t.Parallel()
	plugin := builtPlugin(t)
	var names []string
	for _, e := range exportsOf(t, plugin) {
		names = append(names, e.name)
	}
	for _, name := range []string{
		"memory", "proxy_on_memory_allocate", "proxy_on_context_create", "proxy_on_configure", "proxy_on_tick",
		"proxy_on_http_call_response", "proxy_on_request_headers", "proxy_on_response_headers", "proxy_on_done",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"malloc", "proxy_on_log", "proxy_on_response_body", "proxy_on_delete", "healthgate_entry"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is exported", name)
		}
	}
}

// V8 compiles all of a module when Envoy starts, and keeps 20 bytes and more for each byte of code. A package that slips
// in, such as fmt, time or net/netip, would be over this limit.
func TestCodeOfTheBuiltPlugin(t *testing.T) {
	t.Parallel()
	m, err := parseModule(builtPlugin(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.section(codeSection).body); n > 1_700_000 {
		t.Errorf("%d bytes of code", n)
	}
}

func builtPlugin(t *testing.T) []byte {
	t.Helper()
	path := os.Getenv("HEALTHGATE_WASM")
	if path == "" {
		path = filepath.Join("..", "..", "build", "healthgate.wasm")
	}
	plugin, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run `make filter` first, or set HEALTHGATE_WASM", err)
	}
	return plugin
}

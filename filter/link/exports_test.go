package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// module makes a module with these exported functions between two other sections.
func module(exports ...string) []byte {
	section := []byte{byte(len(exports))}
	for i, name := range exports {
		section = append(append(append(section, byte(len(name))), name...), 0, byte(i))
	}
	m := append([]byte("\x00asm\x01\x00\x00\x00"), 1, 1, 0, exportSection, byte(len(section)))
	return append(append(m, section...), 0, 2, 1, 'x')
}

func TestRewriteExports(t *testing.T) {
	t.Parallel()
	in := module("memory", "proxy_on_tick", "proxy_on_done", "healthgate_on_done", "proxy_on_log", "proxy_on_request_body")
	out, err := link(in)
	if err != nil {
		t.Fatal(err)
	}
	// The functions keep their indexes: on_done is now the plugin's.
	want := module("memory", "proxy_on_tick", "proxy_on_done")
	want[bytes.Index(want, []byte("proxy_on_done"))+len("proxy_on_done")+1] = 3
	if !bytes.Equal(out, want) {
		t.Errorf("got\n%q\nwant\n%q", out, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	linked, err := link(module("healthgate_on_done"))
	if err != nil {
		t.Fatal(err)
	}
	whole := module("healthgate_on_done")
	for _, tt := range []struct {
		name   string
		module []byte
		want   error
	}{
		{"empty", nil, errNotWasm},
		{"text", []byte("package main"), errNotWasm},
		{"cut off", whole[:len(whole)-1], errTruncated},
		{"cut off among the exports", append(bytes.Clone(whole[:11]), exportSection, 2, 1, 9), errTruncated},
		{"another plugin", module("proxy_on_done"), errNotOurs},
		{"linked already", linked, errNotOurs},
	} {
		if _, err := link(tt.module); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzRewriteExports(f *testing.F) {
	f.Add(module("healthgate_on_done", "memory"))
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
	path := os.Getenv("HEALTHGATE_WASM")
	if path == "" {
		path = filepath.Join("..", "..", "build", "healthgate.wasm")
	}
	built, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run `make filter` first, or set HEALTHGATE_WASM", err)
	}
	var names []string
	_, err = rewriteExports(built, func(name string, _ map[string]bool) string {
		names = append(names, name)
		return name
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"memory", "proxy_on_memory_allocate", "proxy_on_context_create", "proxy_on_configure", "proxy_on_tick",
		"proxy_on_http_call_response", "proxy_on_request_headers", "proxy_on_response_headers", "proxy_on_done", "proxy_on_delete",
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"malloc", "proxy_on_log", "proxy_on_response_body"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is exported", name)
		}
	}
}

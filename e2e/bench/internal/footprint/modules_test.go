package footprint

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	header := "\x00asm\x01\x00\x00\x00"
	types := "\x01\x04\x01\x60\x00\x00"
	code := "\x0a\x04\x01\x02\x00\x0b"
	for _, test := range []struct {
		name, module string
		code         int // 0: an error
	}{
		{"whole", header + types + code, 4},
		{"with a section behind", header + code + "\x00\x02\x01x", 4},
		{"no code", header + types, 0},
		{"cut off", header + types + "\x0a\x05\x01", 0},
		{"empty", "", 0},
	} {
		path := filepath.Join(t.TempDir(), "x.wasm")
		if err := os.WriteFile(path, []byte(test.module), 0o600); err != nil {
			t.Fatal(err)
		}
		file, code, err := sizes(path)
		if (err == nil) != (test.code > 0) || code != test.code || err == nil && file != len(test.module) {
			t.Errorf("%s: %d, %d, %v; want a code section of %d", test.name, file, code, err, test.code)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	got := figures(map[int][]sample{
		1: {{ready: 1, resident: 10}, {ready: 3, resident: 30}, {ready: 2, resident: 20}},
		2: {{ready: 5, resident: 50}},
	})
	want := map[string]float64{"ready1": 2, "memory1": 20, "ready2": 5, "memory2": 50}
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for id, value := range want {
		if got[id] != value {
			t.Errorf("%s: %v, want %v", id, got[id], value)
		}
	}
}

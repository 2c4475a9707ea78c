package main

import (
	"strings"
	"testing"
)

func TestTrim(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"an import of several", "import (\n\t\"errors\"\n\t\"fmt\"\n)", "import (\n\t\"errors\"\n\t\n)"},
		{"an only import", `import "time"`, ""},
		{"a message", `func f() { panic(fmt.Sprintf("define %s: %v", g(), err)) }`, `func f() { panic("define %s: %v") }`},
		{"a timed callback", "func f() {\n\tif recordTiming {\n\t\tdefer logTiming(\"f\", time.Now())\n\t}\n\tg()\n}", "func f() {\n\t\n\tg()\n}"},
		{"the timer", "func logTiming(msg string, start time.Time) {\n\tpanic(msg)\n}\nfunc f() {}", "\nfunc f() {}"},
		{"what has nothing of it", "//go:wasmimport env f\nfunc f(fmt, time int) { x.time = 1 }", "//go:wasmimport env f\nfunc f(fmt, time int) { x.time = 1 }"},
	} {
		const head = "package p\n\n"
		got, err := trim("p.go", []byte(head+tt.source))
		if err != nil || string(got) != head+tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, strings.TrimPrefix(string(got), head), tt.want)
		}
	}
}

// Another version of the SDK may use them for something that the plugin needs.
func TestTrimRefuses(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"package p\n\nfunc f() error { return fmt.Errorf(\"x\") }": "sdk.go:3:25: fmt.Errorf is left",
		"package p\n\nvar start = time.Now()":                      "sdk.go:3:13: time.Now is left",
		"package":                                                  "sdk.go:1:8: expected 'IDENT', found 'EOF'",
	} {
		if _, err := trim("sdk.go", []byte(source)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
}

package docs

import (
	"strings"
	"testing"
)

// TestReadmeIsShort: who decides whether to use healthgate reads no more than this.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	const most = 1200
	if words := len(strings.Fields(read(t, "../README.md"))); words > most {
		t.Errorf("README.md has %d words, more than %d: move something to the page that it belongs to", words, most)
	}
}

// TestReadmeBuildsTheSame: README's command for the small build, which no test types, is the Makefile's.
func TestReadmeBuildsTheSame(t *testing.T) {
	t.Parallel()
	const command = "build -target=wasip1 -buildmode=c-shared -scheduler=none -no-debug -tags=custommalloc \\\n"
	const memory = `-ldflags="-extldflags=--initial-memory=262144`
	for _, file := range []string{"../README.md", "../Makefile"} {
		if text := read(t, file); !strings.Contains(text, command) || !strings.Contains(text, memory) {
			t.Errorf("%s does not have %q and %q", file, command, memory)
		}
	}
}

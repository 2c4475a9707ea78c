package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var mutants = flag.Uint64("mutants", 0, "within how many seeds each mutant must be caught")

// mutant is the plugin with a mistake.
type mutant struct{ what, file, was, is string }

// TestMutants is `make chaos-mutants`: it builds each mutant of testdata/mutants.txt and plays seeds until a rule is
// broken that the plugin itself does not break with that seed. Without -mutants it only sees whether they can still
// be made.
func TestMutants(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/mutants.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutant
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.SplitN(block, "\n", 4)
		if len(lines) != 4 || lines[0][:2] != "# " || lines[2][:2] != "- " || lines[3][:2] != "+ " {
			t.Fatalf("not a mutant: %s", block)
		}
		m := mutant{lines[0][2:], "../../" + lines[1], lines[2][2:], lines[3][2:]}
		code, err := os.ReadFile(m.file)
		if err != nil || strings.Count(string(code), m.was) != 1 {
			t.Errorf("%s: %s has not once %q (%v): say the mistake in the new code's terms", m.what, m.file, m.was, err)
		}
		all = append(all, m)
	}
	if len(all) < 12 {
		t.Errorf("%d mutants", len(all))
	}
	if *mutants == 0 || t.Failed() {
		return
	}
	var mu sync.Mutex
	sound := map[uint64]bool{} // seeds with which the plugin itself breaks no rule
	isSound := func(seed uint64) bool {
		mu.Lock()
		ok, known := sound[seed]
		mu.Unlock()
		if !known {
			ok = play(plugin(t), generate(seed)).violation == nil
			mu.Lock()
			sound[seed] = ok
			mu.Unlock()
		}
		return ok
	}
	*closed = true
	for _, m := range all {
		wasm := m.build(t)
		caught := "never"
		for seed := uint64(0); seed < *mutants; seed++ {
			if !isSound(seed) {
				continue
			}
			if v := play(wasm, generate(seed)).violation; v != nil {
				caught = fmt.Sprintf("%d | %s", seed+1, v.rule)
				break
			}
		}
		fmt.Printf("| %s | %s |\n", m.what, caught)
		if caught == "never" {
			t.Errorf("not caught within %d seeds: %s", *mutants, m.what)
		}
	}
}

func (m *mutant) build(t *testing.T) []byte {
	t.Helper()
	code, err := os.ReadFile(m.file)
	must(err)
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	must(os.WriteFile(changed, []byte(strings.Replace(string(code), m.was, m.is, 1)), 0o644))
	original, err := filepath.Abs(m.file)
	must(err)
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	must(err)
	must(os.WriteFile(overlay, text, 0o644))
	return compile(t, "../..", "-overlay", overlay)
}

// compile builds the plugin of a folder.
func compile(t *testing.T, folder string, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", append([]string{"build", "-C", folder, "-buildmode=c-shared", "-o", out}, flags...)...)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	must(err)
	return wasm
}

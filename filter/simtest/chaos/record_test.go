package chaos

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "play each committed plan on the plugin in which it was found")

// TestRecord is `make chaos-record`: each committed plan still shows its defect on the plugin that had it. A change
// of the simulator is done when all of them do.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("make chaos-record")
	}
	*closed = true
	paths, err := filepath.Glob("testdata/*.plan")
	must(err)
	plugins := map[string][]byte{}
	for _, path := range paths {
		p, err := loadPlan(path)
		must(err)
		_, commit, _ := strings.Cut(strings.TrimSuffix(p.Notes[1], ", open"), ", in ")
		if plugins[commit] == nil {
			dir := t.TempDir()
			archive := exec.Command("sh", "-c", `cd "$(git rev-parse --show-toplevel)" && git archive "$0" filter go.mod go.sum |
				tar -x -C "$1"`, commit, dir)
			if text, err := archive.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", commit, err, text)
			}
			plugins[commit] = compile(t, filepath.Join(dir, "filter"))
		}
		v := play(plugins[commit], p).violation
		fmt.Printf("%s, plugin of %s: %v\n", path, commit, v)
		if v == nil || v.rule != p.breaks() {
			t.Errorf("%s: want %q broken", path, p.breaks())
		}
	}
}

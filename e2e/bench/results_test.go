package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

const tooFew = "**Too few rounds: they show that all works, the figures are worth nothing.**"

// write writes what was measured so far.
func write(b *testing.B, tables []table) {
	b.Helper()
	text := fmt.Sprintf("# What `make bench` measured\n\n%s at commit %s, medians of %d rounds (of starts: %d) "+
		"± half the distance between the quartiles.\nOn %s; %s.\n", time.Now().UTC().Format("2006-01-02"),
		output(b, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"), *rounds, min(*rounds, mostStarts),
		machine(), versions(b))
	if *rounds < enough {
		text += "\n" + tooFew + "\n"
	}
	for _, t := range tables {
		text += t.String()
	}
	path := built("bench/results.md")
	must.Do(b, os.MkdirAll(filepath.Dir(path), 0o755))
	must.Write(b, path, text)
}

// machine says where it is measured. What can't be found out is left out: it does not change a figure.
func machine() string {
	find := func(path, pattern string) string {
		text, _ := os.ReadFile(path)
		if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
			return string(m[1])
		}
		return ""
	}
	kB, _ := strconv.Atoi(find("/proc/meminfo", `MemTotal: *(\d+)`))
	return fmt.Sprintf("%d × %s with %d GB of memory, %s, Linux %s", runtime.NumCPU(),
		find("/proc/cpuinfo", `model name\s*: (.*)`), (kB+1<<19)>>20,
		find("/etc/os-release", `PRETTY_NAME="(.*)"`), find("/proc/sys/kernel/osrelease", `(.*)`))
}

var version = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// versions says with what it is measured. The repository pins the rest.
func versions(b *testing.B) string {
	b.Helper()
	var all []string
	for _, of := range []struct {
		name    string
		command []string
	}{
		{"Envoy", []string{envoytest.Binary(b), "--version"}},
		{"wrk", []string{"wrk", "-v"}},
		{"Go", []string{"go", "version"}},
		{"TinyGo", []string{"sh", "-c", "$(scripts/get-tinygo) version"}},
		{"Rust", []string{"e2e/bench/peers/rust/build", "--version"}},
		{"Python", []string{python(), "--version"}},
	} {
		all = append(all, of.name+" "+version.FindString(output(b, of.command...)))
	}
	return strings.Join(all, ", ")
}

// output returns what a command prints, in the repository's folder.
func output(b *testing.B, command ...string) string {
	b.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = envoytest.Root
	out, err := cmd.CombinedOutput()
	if err != nil && command[0] != "wrk" { // wrk -v ends with status 1
		b.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

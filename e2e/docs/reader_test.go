package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// reader is someone who types what documents say, on a machine that has seen nothing of it yet.
type reader struct {
	t      testing.TB
	clone  string // a fresh copy of the repository
	home   string // an empty folder
	folder string // where the terminal is
	env    []string
	change *strings.Replacer // what the documents name that must be another here: ports, above all
	left   []*envoytest.Log  // what goes on in other terminals
}

// newReader makes a reader whose Envoy's listener, admin and application have ports of their own, in the place of those
// that documents name.
func newReader(t testing.TB, change ...string) *reader {
	t.Helper()
	r := &reader{t: t, clone: filepath.Join(t.TempDir(), "healthgate"), home: t.TempDir()}
	r.folder = r.clone
	must.Do(t, errors.Join(os.Mkdir(r.clone, 0o755), copyClone(r.clone)))
	before := r.files()
	t.Cleanup(func() {
		for _, file := range r.files() {
			if !slices.Contains(before, file) {
				t.Errorf("git would show a new file: %s", file)
			}
		}
	})
	var ports [3]string
	for i := range ports {
		ports[i] = strconv.Itoa(must.Port(t))
	}
	listener, admin, app := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2]
	r.change = strings.NewReplacer(append(change,
		"127.0.0.1:10000", listener, "127.0.0.1:8080", listener, "0.0.0.0:8080", listener,
		"127.0.0.1:9901", admin, "10.0.0.1:9901", admin, "10.0.1.1:9901", admin,
		"127.0.0.1:7070", app, "containerPort: 7070", "containerPort: "+ports[2],
		"hostsim serve", "hostsim serve --listen "+listener+" --admin "+admin,
		"demo -app-only", "demo -app-only -app-port "+ports[2],
	)...)
	// Envoys of other tests would be taken for the one to restart from.
	envoy := filepath.Join(t.TempDir(), "envoy")
	write(t, envoy, `#!/bin/sh
case "$*" in *--disable-hot-restart*) ;; *) set -- "$@" --disable-hot-restart ;; esac
exec '`+envoytest.Binary(t)+`' "$@"
`, 0o755)
	// On a terminal, curl shows no progress for so little.
	write(t, filepath.Join(r.home, ".curlrc"), "silent\nshow-error\n", 0o600)
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		// What a make that runs the tests hands on is not for the make of a document.
		ofMake := slices.Contains([]string{"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}, name)
		if !ofMake && !strings.HasPrefix(name, "HEALTHGATE_") {
			r.env = append(r.env, pair)
		}
	}
	// Go's caches are not what is tested. Without the folder's name in what it compiles, it finds that again next time.
	out := must.Get(exec.Command("go", "env", "GOPATH", "GOMODCACHE", "GOCACHE", "GOFLAGS").Output())(t)
	cache := strings.Split(string(out), "\n")
	r.env = append(r.env, "HOME="+r.home, "ENVOY="+envoy, "GOPATH="+cache[0], "GOMODCACHE="+cache[1], "GOCACHE="+cache[2],
		"GOFLAGS="+cache[3]+" -trimpath -buildvcs=false",
		fmt.Sprintf("ARGS=-port %s -admin-port %s -app-port %s", ports[0], ports[1], ports[2])) // of make run
	// Where the library is not compiled yet, make run would take longer than a test waits. This links nothing.
	must.Do(t, r.run("go list -export ./envoy/cmd/... ./hostsim/cmd/...\n", "…\n"))
	return r
}

func write(t testing.TB, file, text string, mode fs.FileMode) {
	t.Helper()
	must.Do(t, os.WriteFile(file, []byte(text), mode))
}

// ours are the folders that git ignores, and its own.
var ours = []string{".git", ".envoy", ".tools", "build"}

// copyClone copies what a clone of the repository holds.
func copyClone(to string) error {
	entries, err := os.ReadDir(envoytest.Root)
	for _, entry := range entries {
		from, to := filepath.Join(envoytest.Root, entry.Name()), filepath.Join(to, entry.Name())
		switch {
		case slices.Contains(ours, entry.Name()):
		case entry.IsDir():
			err = errors.Join(err, os.CopyFS(to, os.DirFS(from)))
		default:
			text, readErr := os.ReadFile(from)
			err = errors.Join(err, readErr, os.WriteFile(to, text, 0o644))
		}
	}
	return err
}

// files lists what is in the clone, but for what git ignores.
func (r *reader) files() []string {
	var out []string
	err := filepath.WalkDir(r.clone, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && slices.Contains(ours, entry.Name()) {
			return fs.SkipDir
		}
		out = append(out, strings.TrimPrefix(path, r.clone))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// asks matches a block that changes nothing. Who types it asks again: after Envoy was started, or a value was changed
// that is polled once a second.
var asks = regexp.MustCompile(`^((curl|healthgate status|healthgate maintenance status)\b[^\n]*\n)+$`)

// read does all that a document says.
func (r *reader) read(document string) {
	r.t.Helper()
	r.folder = r.clone
	all := blocks(r.t, document)
	for i, b := range all {
		place := fmt.Sprintf("%s:%d", document, b.line)
		output := "…\n"
		if i+1 < len(all) && all[i+1].language == "output" {
			output = r.change.Replace(all[i+1].text)
		}
		switch text := r.change.Replace(b.text); b.language {
		case "sh":
			try := func() error { return r.run(text, output) }
			if asks.MatchString(text) && !strings.Contains(text, "-X POST") {
				envoytest.Eventually(r.t, envoytest.StartLimit, place, try)
			} else if err := try(); err != nil {
				r.t.Fatalf("%s: %v", place, err)
			}
		case "sh until-ctrl-c":
			r.leave(place, text, output)
		case "output":
			if i == 0 || !strings.HasPrefix(all[i-1].language, "sh") {
				r.t.Errorf("%s: no block of sh stands before this output", place)
			}
		default:
			if _, file, is := strings.Cut(b.language, " "); is {
				must.Do(r.t, os.MkdirAll(filepath.Dir(filepath.Join(r.folder, file)), 0o755))
				write(r.t, filepath.Join(r.folder, file), text, 0o644)
			}
		}
	}
}

// run types a block into the terminal. The folder and the environment in which it ends are those of the next one.
func (r *reader) run(text, output string) error {
	state := filepath.Join(r.home, ".terminal")
	cmd := exec.CommandContext(r.t.Context(), "sh", "-euc", text+"\n{ pwd; env -0; } >\"$0\"", state)
	cmd.Dir, cmd.Env = r.folder, r.env
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, text, printed)
	}
	if !prints(output, string(printed)) {
		return fmt.Errorf("this\n%s\nprinted\n%s\nand not\n%s", text, printed, output)
	}
	after, err := os.ReadFile(state)
	if err != nil {
		return err
	}
	folder, env, _ := strings.Cut(string(after), "\n")
	r.folder, r.env = folder, strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	return os.Remove(state)
}

// leave starts a block in a terminal of its own, waits until it has printed what it should, and presses Ctrl-C there
// when the test ends.
func (r *reader) leave(place, text, output string) {
	r.t.Helper()
	log := &envoytest.Log{}
	r.left = append(r.left, log)
	cmd := exec.Command("sh", "-euc", "exec "+text)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.folder, r.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal does
	p, err := run.Start(cmd)
	if err != nil {
		r.t.Fatalf("%s: %v", place, err)
	}
	r.t.Cleanup(func() {
		_ = syscall.Kill(-p.PID(), syscall.SIGINT) // fails when all have ended
		<-p.Done()
		// A shell says of a program that Ctrl-C ended that it ended with 130.
		if code := p.State().ExitCode(); code != 0 && code != 130 && !interrupted(cmd) {
			r.t.Errorf("%s: Ctrl-C ends it with %v", place, p.State())
		}
		if r.t.Failed() {
			r.t.Logf("%s: the end of what it printed:\n%s", place, log.Tail(60))
		}
	})
	envoytest.Eventually(r.t, envoytest.StartLimit, place, func() error {
		select {
		case <-p.Done():
			r.t.Fatalf("%s: it has ended: %v", place, p.State())
		default:
		}
		if printed := log.Tail(1 << 20); !prints(output, printed) {
			return errors.New("it printed\n" + printed)
		}
		return nil
	})
}

// interrupted says whether Ctrl-C ended it by the signal itself, as it ends make.
func interrupted(cmd *exec.Cmd) bool {
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGINT
}

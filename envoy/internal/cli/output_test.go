//go:build unix

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// A command that reads ends at Ctrl-C, although its input does not.
func TestEndsAtInterrupt(t *testing.T) {
	if text := os.Getenv("HEALTHGATE_TEST_COMMAND"); text != "" { // in the process that is started below
		os.Args = strings.Fields(text)
		os.Exit(Main("", ""))
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := process(ctx, "validate -")
	stdin := must.Get(cmd.StdinPipe())(t)
	must.Do(t, cmd.Start())
	// More than a pipe holds: when all of it is written, the command reads.
	_, err := stdin.Write(bytes.Repeat([]byte("#\n"), 512<<10))
	err = errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait())
	if status, is := cmd.ProcessState.Sys().(syscall.WaitStatus); !is || status.Signal() != os.Interrupt {
		t.Errorf("%v, it did not end by the signal", err)
	}
}

// process is the command as a process of its own.
func process(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestEndsAtInterrupt$")
	cmd.Env = append(os.Environ(), "HEALTHGATE_TEST_COMMAND=healthgate "+command)
	return cmd
}

// Who no longer reads what is said ends neither agent, whose port would be closed, nor serve.
func TestUnread(t *testing.T) {
	t.Parallel()
	a, asked := admintest.Start(t), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		case <-r.Context().Done():
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, command := range []string{"serve --listen 127.0.0.1:0 --admin " + server.URL,
		fmt.Sprintf("agent --status-url %s/status --tcp 127.0.0.1:%d --interval 100ms --max-age 1m", server.URL,
			must.Port(t))} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := process(ctx, command)
		r, w, err := os.Pipe()
		must.Do(t, errors.Join(err, r.Close()))
		cmd.Stdout = w
		must.Do(t, errors.Join(cmd.Start(), w.Close()))
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for range 5 {
			select {
			case <-asked:
			case err := <-ended:
				t.Fatalf("%s: %v", command, err)
			}
		}
		must.Do(t, cmd.Process.Signal(os.Interrupt))
		if err := <-ended; cmd.ProcessState.ExitCode() < 0 {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// A question that Ctrl-C, or another signal that ends, cuts off says so, and nothing of what was written; for pipelines
// in their form.
func TestInterruptedQuestion(t *testing.T) {
	t.Parallel()
	for command, end := range map[string]os.Signal{"status": os.Interrupt, "maintenance status": syscall.SIGHUP,
		"status -o json": syscall.SIGTERM, "maintenance status -o json": os.Interrupt} {
		silent := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
		defer silent.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := process(ctx, command+" --admin "+silent.Addr().String())
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		must.Do(t, cmd.Start())
		asked := must.Get(silent.Accept())(t)
		err := errors.Join(cmd.Process.Signal(end), cmd.Wait(), asked.Close())
		said, isJSON := strings.TrimSuffix(out.String(), "healthgate: interrupted\n"), strings.HasSuffix(command, "json")
		var states []struct{ Envoy, Error string }
		if isJSON {
			err = errors.Join(err, json.Unmarshal([]byte(said), &states))
		}
		right := said == ""
		if isJSON {
			right = len(states) == 1 && states[0].Envoy == silent.Addr().String() && states[0].Error == "interrupted"
		}
		if !right || said == out.String() || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: %v, %s", command, err, out.String())
		}
	}
}

// -o replaces a regular file as a whole, refuses other kinds of files, and follows a link.
func TestOutputKeepsWhatIsNoFile(t *testing.T) {
	t.Parallel()
	source := write(t, minimal)
	const another = 65534 // the user's id
	for _, test := range []struct {
		name string
		make func(path string) error
		kept fs.FileMode // of what is at the path then
		want string      // of the error
	}{
		{"nothing", func(string) error { return nil }, 0o644, ""},
		{"a file with a mode of its own", func(path string) error { return os.WriteFile(path, nil, 0o600) }, 0o600, ""},
		{"another user's file", func(path string) error {
			err := os.WriteFile(path, nil, 0o640)
			if os.Getuid() == 0 { // only root can give a file away
				err = errors.Join(err, os.Chown(path, another, another))
			}
			return err
		}, 0o640, ""},
		{"a link", func(path string) error {
			if err := os.WriteFile(path+".target", []byte("old"), 0o640); err != nil {
				return err
			}
			return os.Symlink(path+".target", path)
		}, fs.ModeSymlink, ""},
		{"a link to nothing", func(path string) error { return os.Symlink(path+".target", path) }, fs.ModeSymlink,
			".target: no such file or directory; mend it first"},
		{"a link in a circle", func(path string) error { return os.Symlink(path, path) }, fs.ModeSymlink,
			"too many levels of symbolic links"},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, fs.ModeDir, "is a folder; give a file in it"},
		{"a link to a folder", func(path string) error { return os.Symlink(filepath.Dir(path), path) }, fs.ModeSymlink,
			"is a folder; give a file in it"},
		{"a device", func(path string) error { return os.Symlink("/dev/null", path) }, fs.ModeSymlink, ""},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, fs.ModeNamedPipe, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "envoy.yaml")
			must.Do(t, test.make(path))
			read := make(chan string, 1)
			pipe := test.kept == fs.ModeNamedPipe
			if pipe {
				go func() {
					text, _ := os.ReadFile(path)
					read <- string(text)
				}()
			}
			_, stderr, code := call(t, "render", "envoy", source, "--cluster", "app=127.0.0.1:1", "-o", path)
			if wantCode := min(len(test.want), 1); code != wantCode || !strings.Contains(stderr, test.want) {
				t.Fatalf("exit code %d, %s", code, stderr)
			}
			info := must.Get(os.Lstat(path))(t)
			if got := info.Mode(); got.Type() != test.kept.Type() || test.kept.IsRegular() && got != test.kept {
				t.Errorf("there is %v, not %v", got, test.kept)
			}
			if owner, is := info.Sys().(*syscall.Stat_t); is && os.Getuid() == 0 &&
				(owner.Uid == another) != (test.name == "another user's file") {
				t.Errorf("it belongs to %d", owner.Uid)
			}
			if test.want == "" && test.name != "a device" {
				if !pipe {
					text := must.Get(os.ReadFile(path))(t)
					read <- string(text)
				}
				if text := <-read; !strings.HasPrefix(text, "# An Envoy") {
					t.Errorf("there is %q", text)
				}
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
			if err != nil || len(left) > 0 {
				t.Errorf("%q is left, %v", left, err)
			}
		})
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice {
		t.Errorf("/dev/null is %v, %v", info.Mode(), err)
	}
}

// Of a key that is not in the layer it is told that nothing was taken out, and of a layer that was made, that it was.
func TestMaintenanceTellsWhatIsInTheLayer(t *testing.T) {
	t.Parallel()
	for flag, name := range map[string]string{"--runtime-dir": "current", "--rtds-file": "rtds.yaml"} {
		path := filepath.Join(t.TempDir(), name)
		for _, step := range []struct {
			args string
			want string // on standard error, before anything else
			code int
		}{
			{"on --admin unix:///nonexistent/admin.sock",
				"note: written to " + path + ", which was not there and was made\n", 1},
			{"off typo --dry-run", "note: " + path + " has no key typo to take out", 0},
			{"off typo", "note: " + path + " has no key typo to take out", 0},
			{"off", "", 0},
			{"off", "note: " + path + " has no key healthgate.maintenance to take out", 0},
		} {
			args := append([]string{"maintenance"}, strings.Fields(step.args)...)
			_, stderr, code := call(t, append(args, flag, path)...)
			if code != step.code || !strings.HasPrefix(stderr, step.want) || step.want == "" && stderr != "" {
				t.Errorf("%s %s: exit code %d, %s\nwant %s", step.args, flag, code, stderr, step.want)
			}
		}
	}
}

// A local time in a time zone that is not there is refused: it would be taken as UTC. What was taken is told.
func TestUntilInItsZone(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().AddDate(0, 0, 1).UTC()
	for _, test := range []struct{ zone, until, want string }{
		{"CET-1CEST", "2099-12-01t06:00:00z", ", until 2099-12-01T06:00:00Z (in "},
		{"CET-1CEST", "23:00", `--until: TZ is "CET-1CEST", a time zone that cannot be loaded here`},
		{":Nowhere/Bad", tomorrow.Format("2006-01-02 15:04"), `TZ is "Nowhere/Bad"`},
		{"/nonexistent", "23:00", `TZ is "/nonexistent"`},
		{"Asia/Tokyo", tomorrow.Format(time.RFC3339), ", until " + tomorrow.Format(time.RFC3339) + " = " +
			tomorrow.Add(9*time.Hour).Format("2006-01-02 15:04") + " JST (in 2"},
		{"CET-1CEST", tomorrow.Format(time.RFC3339), ", until " + tomorrow.Format(time.RFC3339) + " (in 2"},
		{"Asia/Tokyo", tomorrow.Format("2006-01-02T15:04"), ", until " +
			tomorrow.Truncate(time.Minute).Add(-9*time.Hour).Format(time.RFC3339) + " = " +
			tomorrow.Format("2006-01-02 15:04") + " JST (in 1"},
		{"UTC", "23:00", "T23:00:00Z (in "}, {"", "23:00", "T23:00:00Z (in "},
	} {
		file := filepath.Join(t.TempDir(), "rtds.yaml")
		until := strings.ReplaceAll(test.until, " ", "T")
		cmd := process(t.Context(), "maintenance on --rtds-file "+file+" --until "+until)
		cmd.Env = append(cmd.Env, "TZ="+test.zone)
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), test.want) || (err == nil) == strings.Contains(test.want, "TZ is") {
			t.Errorf("TZ=%s, %s: %v, %s", test.zone, test.until, err, out)
		}
	}
}

// A healthgate.yaml that is read from standard input is not replaced either.
func TestOutputIsNotStandardInput(t *testing.T) {
	t.Parallel()
	file := write(t, minimal)
	cmd := process(t.Context(), "render envoy - -o "+file)
	stdin := must.Get(os.Open(file))(t)
	defer stdin.Close()
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if text := must.Read(t, file); text != minimal || !strings.Contains(string(out), "is FILE itself") {
		t.Errorf("%v, %s%s", err, out, text)
	}
}

// The command in the head of a file, typed into a shell, writes the same file.
func TestHeadIsTheCommand(t *testing.T) {
	t.Parallel()
	file := write(t, strings.Replace(minimal, "{route_metadata: true}", "{keys: [k]}", 1))
	for _, args := range [][]string{
		{"envoy", "--wasm", "/it's/a b$(c).wasm", "--node-id", "a\nb", "--cluster", "app=127.0.0.1:1", "--cluster", "b=b:2"},
		{"istio-envoyfilter", "--selector", "app=shop,tier=web", "--selector", "a=b", "--port", "80", "--cluster",
			"app=127.0.0.1:80"},
		{"istio-wasmplugin", "--selector", "app=shop,tier=web", "--port", "80", "--cluster", "app=127.0.0.1:80", "--wasm",
			"oci://a/b:1"},
		{"envoy-gateway", "--gateway", "g", "--backend", "b", "--listener", "http,https", "--hostname", "a.example,b.example",
			"--wasm", "oci://a/b:1", "--cluster", "app=127.0.0.1:80"},
	} {
		want, stderr, code := call(t, append([]string{"render", args[0], file}, args[1:]...)...)
		_, head, found := strings.Cut(want, "\n#   healthgate ")
		if code != 0 || !found {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
			continue
		}
		head, _, _ = strings.Cut(head, "\n")
		words := must.Get(exec.CommandContext(t.Context(), "bash", "-c", `printf '%s\0' `+head).Output())(t)
		again, stderr, code := call(t, strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")...)
		if code != 0 || again != want {
			t.Errorf("healthgate %s: exit code %d, %s\nwrites\n%s\nand not\n%s", head, code, stderr, again, want)
		}
	}
}

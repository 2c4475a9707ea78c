package layer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

// Tests run this program again, as processes that change a layer and are killed, limited or many.
const childVariable = "HEALTHGATE_TEST_LAYER"

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(childVariable)); len(args) == 3 {
		if err := child(args[0], args[1], args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(how, path, key string) error {
	l := layerAt(path)
	switch how {
	case "forever":
		for i := 0; ; i++ {
			if err := l.Apply(context.Background(), Change{{key, strconv.Itoa(i%2 + 1)}}); err != nil {
				return err
			}
		}
	case "masked":
		syscall.Umask(0o077)
	case "document":
		syscall.Umask(0o077)
		r, err := Replace(path, key, "")
		if err != nil {
			return err
		}
		return r.Move()
	case "full": // no file can grow, as on a full disk
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
			return err
		}
	}
	if d, is := l.(DiskLayer); is {
		d.Subdirectory = new(string)
		l = d
	}
	if how == "try" {
		return l.Try(Change{{key, "1"}})
	}
	return l.Apply(context.Background(), Change{{key, "1"}})
}

func layerAt(path string) Layer {
	if filepath.Ext(path) == ".yaml" {
		return RTDSFile(path)
	}
	return DiskLayer{Root: path}
}

func command(t *testing.T, how, path, key string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{how, path, key}, " "))
	return cmd
}

// made is a name that a change gives to a layer's folder.
const made = "current.healthgate-0123456789abcdef"

// eachKind runs a test on a disk layer and on an RTDS file, which hold the keys k=1, other=7 and, on disk, one that
// only its owner may read.
func eachKind(t *testing.T, run func(t *testing.T, path string)) {
	t.Helper()
	eachKindIn(t, (*testing.T).TempDir, run)
}

// eachKindIn is eachKind with its layers in folders that newFolder makes.
func eachKindIn(t *testing.T, newFolder func(*testing.T) string, run func(t *testing.T, path string)) {
	t.Parallel()
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		dir := newFolder(t)
		tree(t, dir, map[string]string{made + "/k": "1", made + "/other": "7", made + "/secret@600": "s",
			"current": "-> " + made})
		run(t, filepath.Join(dir, "current"))
	})
	t.Run("RTDS", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(newFolder(t), "rtds.yaml")
		must.Do(t, RTDSFile(file).Apply(t.Context(), Change{{"k", "1"}, {"other", "7"}}))
		run(t, file)
	})
}

// most is how many files lie where a layer is.
func most(path string) int {
	if filepath.Ext(path) == ".yaml" {
		return 1
	}
	return 2
}

// content returns a layer's keys on one line.
func content(t *testing.T, path string) string {
	t.Helper()
	if filepath.Ext(path) != ".yaml" {
		return listing(t, path)
	}
	text, err := os.ReadFile(path)
	must.Do(t, err)
	root, err := parse(path, text)
	must.Do(t, err)
	_, layer, err := findLayer(root)
	must.Do(t, err)
	var keys []string
	for field := range slices.Chunk(layer.Content, 2) {
		if field[0].ShortTag() != "!!str" {
			t.Errorf("the key %s is a %s", field[0].Value, field[0].ShortTag())
		}
		keys = append(keys, field[0].Value+"="+field[1].Value)
	}
	slices.Sort(keys)
	return strings.Join(keys, "; ")
}

// whole checks that the layer is one of the two that were meant.
func whole(t *testing.T, path string) {
	t.Helper()
	got := strings.TrimSuffix(content(t, path), "; secret=s -rw-------")
	if got != "k=1; other=7" && got != "k=2; other=7" {
		t.Fatalf("the layer is %q", got)
	}
}

// A change that is killed at any moment leaves the old layer or the new one, and the next change works.
func TestKilled(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		for range 75 {
			cmd := command(t, "forever", path, "k")
			must.Do(t, cmd.Start())
			time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))) // any moment is a good one
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			whole(t, path)
		}
		if err := layerAt(path).Apply(t.Context(), Change{{"k", "2"}}); err != nil {
			t.Error(err)
		}
		whole(t, path)
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > most(path) {
			t.Errorf("killed runs left more than the layer: %v, %v", left, err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		const want = " can't be written: file too large; it is unchanged: raise the limit of this shell, ulimit -f, " +
			"and do it again\n"
		if out, err := command(t, "full", path, "new").CombinedOutput(); err == nil || string(out) != path+want {
			t.Errorf("%v %s", err, out)
		}
		whole(t, path)
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > most(path) {
			t.Errorf("it left more than the layer: %v, %v", left, err)
		}
	})
}

// Envoy reads the layer as another user, whatever the umask of the operator's shell.
func TestUmask(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		if out, err := command(t, "masked", path, "k").CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		whole(t, path) // with the modes that were there
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// A document that is not there yet is as private as the umask says.
func TestUmaskOfDocument(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	for _, mode := range []os.FileMode{0o600, 0o644} { // new, and one that has a mode already
		if out, err := command(t, "document", file, "text").CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != mode {
			t.Errorf("%v, %v, want %v", info.Mode(), err, mode)
		}
		must.Do(t, os.Chmod(file, 0o644))
	}
}

// No change is lost, whoever makes it at the same time.
func TestManyAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if out, err := command(t, "once", path, fmt.Sprintf("new%d", i)).CombinedOutput(); err != nil {
					t.Errorf("%v %s", err, out)
				}
			})
		}
		wg.Wait()
		if got := strings.Count(content(t, path), "new"); got != 20 {
			t.Errorf("%d of 20 keys: %s", got, content(t, path))
		}
	})
}

// Who waits for another change too long, or is interrupted, says so and changes nothing.
func TestHeldByAnother(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		held, err := os.Open(filepath.Dir(path))
		must.Do(t, errors.Join(err, syscall.Flock(int(held.Fd()), syscall.LOCK_EX)))
		defer held.Close()
		before := content(t, path)
		late, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		interrupted, interrupt := context.WithCancel(t.Context())
		interrupt()
		for want, ctx := range map[string]context.Context{
			"another change has held " + filepath.Dir(path) + " for ":                                 late,
			"interrupted while another change held " + filepath.Dir(path) + ": this one was not made": interrupted,
		} {
			if err := layerAt(path).Apply(ctx, Change{{"new", "1"}}); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if after := content(t, path); after != before {
			t.Errorf("there is %s, was %s", after, before)
		}
	})
}

// What another program moves into the layer's place during a change, without a lock, stays.
func TestMovedMeanwhile(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	files := map[string]string{"theirs/k": "2", "current": "-> ours", "their.link": "-> theirs"}
	for i := range 1000 {
		files[fmt.Sprintf("ours/k%d", i)] = "1"
		fmt.Fprintf(&many, "    k%d: 1\n", i)
	}
	files["rtds.yaml"] = strings.Replace(emptyRTDS, " {}\n", "\n"+many.String(), 1)
	files["their.yaml"] = strings.Replace(emptyRTDS, "{}", "{theirs: 1}", 1)
	dir := t.TempDir()
	tree(t, dir, files)
	for _, test := range []struct {
		layer                Layer
		place, theirs, start string // start is what is there once the change has begun
	}{
		{DiskLayer{filepath.Join(dir, "current"), some("")}, "current", "their.link", "current.*/k500"},
		{RTDSFile(filepath.Join(dir, "rtds.yaml")), "rtds.yaml", "their.yaml", "rtds.yaml.*"},
	} {
		theirs, place := filepath.Join(dir, test.theirs), filepath.Join(dir, test.place)
		want, ended := must.Get(os.Lstat(theirs))(t), make(chan error, 1)
		go func() { ended <- test.layer.Apply(t.Context(), Change{{"new", "1"}}) }()
		for {
			begun, _ := filepath.Glob(filepath.Join(dir, test.start))
			if len(begun) > 0 || len(ended) > 0 {
				break
			}
		}
		must.Do(t, os.Rename(theirs, place)) // at once: what is moved just before the change's own rename is lost
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "something else was put in the place of") {
			t.Error(err)
		}
		if got, err := os.Lstat(place); err != nil || !os.SameFile(got, want) {
			t.Errorf("%s is not what was moved there, %v", test.place, err)
		}
	}
}

// What a change made is removed by the next one, also where the link was led elsewhere in between.
func TestLedElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"theirs/k": "2", "current": "-> theirs"})
	for range 30 {
		must.Do(t, DiskLayer{filepath.Join(dir, "current"), some("")}.Apply(t.Context(), Change{{"new", "1"}}))
		tree(t, dir, map[string]string{"their.link": "-> theirs"})
		must.Do(t, os.Rename(filepath.Join(dir, "their.link"), filepath.Join(dir, "current")))
	}
	must.Do(t, DiskLayer{filepath.Join(dir, "current"), some("")}.Apply(t.Context(), Change{{"new", "1"}}))
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 { // the link, its folder, and theirs
		t.Errorf("there are %v, %v", left, err)
	}
}

// What can't be removed after the change does not undo it.
func TestCleaningUpFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{made + "/k": "1", made + "/other": "7", "current": "-> " + made})
	root := filepath.Join(dir, "current")
	held := filepath.Join(dir, made, "held")
	must.Do(t, os.Mkdir(held, 0o755))
	if err := syscall.Mount("none", held, "tmpfs", 0, "size=4k"); err != nil {
		// Without root's rights a folder that may not be written to does the same.
		tree(t, held, map[string]string{"file": "1"})
		must.Do(t, os.Chmod(held, 0o555))
		t.Cleanup(func() { removeAll(t, dir) })
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(held, 0) })
	}
	must.Do(t, (DiskLayer{root, some("")}).Apply(t.Context(), Change{{"k", "2"}}))
	for file, want := range map[string]string{"k": "2\n", "other": "7"} {
		if text, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	must.Do(t, DiskLayer{root, some("")}.Apply(t.Context(), Change{{"k", "3"}})) // beside what is in the way
	if text, err := os.ReadFile(filepath.Join(root, "k")); err != nil || string(text) != "3\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// An RTDS file keeps its mode, and stays the link that it is.
func TestRTDSKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"real/rtds.yaml@600": emptyRTDS, "rtds.yaml": "-> real/rtds.yaml"})
	file := filepath.Join(dir, "rtds.yaml")
	before, _ := os.Lstat(file)
	must.Do(t, RTDSFile(file).Apply(t.Context(), Change{{"123", "1"}, {"true", "1"}}))
	if link, err := os.Readlink(file); err != nil || link != "real/rtds.yaml" {
		t.Errorf("%q, %v", link, err)
	}
	if after, err := os.Lstat(file); err != nil || os.SameFile(before, after) {
		t.Errorf("the link was not replaced, so Envoy would not notice: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got, want := content(t, file), "123=1; true=1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Where no file can be made, that is said before anything is done, and so it is of a link whose target could be
// changed.
func TestReadOnly(t *testing.T) {
	refused := func(t *testing.T, path, folder string) {
		t.Helper()
		must.Do(t, os.Chmod(folder, 0o555))
		t.Cleanup(func() { must.Do(t, os.Chmod(folder, 0o755)) })
		if out, err := as(t, 65534, 65534, "once", path); err == nil ||
			out != "no file can be made in "+folder+": permission denied\n" {
			t.Errorf("%v %s", err, out)
		}
		whole(t, path)
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > most(path) {
			t.Errorf("it left more than the layer: %v, %v", left, err)
		}
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) { refused(t, path, filepath.Dir(path)) })
	t.Run("link", func(t *testing.T) {
		t.Parallel()
		folder := sharedFolder(t)
		target, link := filepath.Join(folder, "open", "rtds.yaml"), filepath.Join(folder, "closed", "rtds.yaml")
		must.Do(t, os.Mkdir(filepath.Dir(target), 0o755))
		must.Do(t, os.Mkdir(filepath.Dir(link), 0o755))
		must.Do(t, RTDSFile(target).Apply(t.Context(), Change{{"k", "1"}, {"other", "7"}}))
		must.Do(t, os.Symlink(target, link))
		must.Do(t, os.Chmod(filepath.Dir(target), 0o777))
		refused(t, link, filepath.Dir(link))
	})
}

// Behind a link, .. is the folder above the one that the link leads to, as it is for Envoy.
func TestAboveALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"link": "-> there/far", "there/far/x": "", "there/current": "-> current.a",
		"there/current.a/a": "1", "there/rtds.yaml": emptyRTDS})
	for path, want := range map[string]string{"current": "a=1; k=1", "rtds.yaml": "k=1"} {
		must.Do(t, layerAt(dir+"/link/../"+path).Apply(t.Context(), Change{{"k", "1"}}))
		if got := content(t, filepath.Join(dir, "there", path)); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
}

func TestRTDSFileIsNoPipe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rtds.yaml")
	must.Do(t, syscall.Mkfifo(file, 0o600))
	if err := RTDSFile(file).Check(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Error(err)
	}
}

// Of what lies beside a layer, what a killed run left goes. All else stays, whatever links to it anybody made.
func TestNobodyElses(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		dir, name := filepath.Split(path)
		left := name + made[len("current"):]
		left = left[:len(left)-1]
		tree(t, dir, map[string]string{left + "0/a/b": "1", left + "1": "1", left + "2": "-> " + name + ".b"})
		mine := map[string]string{name + ".b/key": "mine", "." + name + ".b": "-> ././" + name + ".b", name + ".c": "mine",
			"." + name + ".c": "-> ././" + name + ".c", "." + name + ".link": "-> ././" + name + ".b",
			name + ".healthgate-1": "mine", left + "3.bak": "mine", left + "A": "mine", "." + left + "4": "mine",
			"other" + left + "5/key": "mine"}
		tree(t, dir, mine)
		must.Do(t, layerAt(path).Apply(t.Context(), Change{{"k", "2"}}))
		whole(t, path)
		for file, text := range mine {
			got, err := os.Readlink(filepath.Join(dir, file))
			if got = "-> " + got; err != nil {
				text, err := os.ReadFile(filepath.Join(dir, file))
				if got = string(text); err != nil {
					t.Error(err)
				}
			}
			if got != text {
				t.Errorf("%s with %q became %q", file, text, got)
			}
		}
		for c := range 3 {
			if info, err := os.Lstat(filepath.Join(dir, left+strconv.Itoa(c))); err == nil {
				t.Errorf("%s, which a killed run left, is still there", info.Name())
			}
		}
	})
}

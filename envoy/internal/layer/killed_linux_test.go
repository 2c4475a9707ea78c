package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

	"golang.org/x/sys/unix"
)

// The tests of this file run this program again, as processes that change a layer and are killed, limited or many.
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
		tree(t, dir, map[string]string{"current.a/k": "1", "current.a/other": "7", "current.a/secret@600": "s",
			"current": "-> current.a"})
		run(t, filepath.Join(dir, "current"))
	})
	t.Run("RTDS", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(newFolder(t), "rtds.yaml")
		if err := RTDSFile(file).Apply(t.Context(), Change{{"k", "1"}, {"other", "7"}}); err != nil {
			t.Fatal(err)
		}
		run(t, file)
	})
}

// content returns a layer's keys on one line.
func content(t *testing.T, path string) string {
	t.Helper()
	if filepath.Ext(path) != ".yaml" {
		return listing(t, path)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	root, err := parse(path, text)
	must(t, err)
	_, layer, err := findLayer(root)
	must(t, err)
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
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond)))) // any moment is a good one
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			whole(t, path)
		}
		if err := layerAt(path).Apply(t.Context(), Change{{"k", "2"}}); err != nil {
			t.Error(err)
		}
		whole(t, path)
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 2 {
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
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 2 {
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

// What can't be removed after the change does not undo it.
func TestCleaningUpFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"current.a/k": "1", "current.a/other": "7", "current": "-> current.a"})
	root := filepath.Join(dir, "current")
	held := filepath.Join(dir, "current.a", "held")
	if err := os.Mkdir(held, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", held, "tmpfs", 0, "size=4k"); err != nil {
		// Without root's rights a folder that may not be written to does the same.
		tree(t, held, map[string]string{"file": "1"})
		if err := os.Chmod(held, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeAll(t, dir) })
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(held, 0) })
	}
	if err := (DiskLayer{root, some("")}).Apply(t.Context(), Change{{"k", "2"}}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"k": "2\n", "other": "7"} {
		if text, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	must(t, DiskLayer{root, some("")}.Apply(t.Context(), Change{{"k", "3"}})) // beside what is in the way
	if text, err := os.ReadFile(filepath.Join(root, "k")); err != nil || string(text) != "3\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// Who can't keep the group by which Envoy reads is told so, and nothing is changed. A group that may no more than
// everybody need not be kept.
func TestAsStranger(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play him
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		must(t, os.Chmod(filepath.Dir(path), 0o777))
		readers := path
		if filepath.Ext(path) != ".yaml" {
			must(t, os.Remove(filepath.Join(path, "secret")))
			readers = filepath.Join(path, "other")
		}
		once := func(mode fs.FileMode) (string, error) {
			must(t, os.Chmod(readers, mode))
			cmd := command(t, "once", path, "new")
			as(t, cmd, 65534, 65534)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		before := content(t, path)
		out, err := once(0o664)
		if err == nil || !strings.Contains(out, "is of the group 0, which this user is not in") {
			t.Errorf("%v %s", err, out)
		}
		must(t, os.Chmod(readers, 0o644))
		if after := content(t, path); after != before {
			t.Errorf("there is %s, was %s", after, before)
		}
		if out, err := once(0o644); err != nil || !strings.Contains(content(t, path), "new=") {
			t.Errorf("%v %s", err, out)
		}
	})
}

// Root writes nothing where another user could lead it elsewhere, also not further below.
func TestAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play it
	}
	eachKindIn(t, func(t *testing.T) string {
		below := filepath.Join(sharedFolder(t), "below")
		must(t, os.Mkdir(below, 0o755))
		return below
	}, func(t *testing.T, path string) {
		above := filepath.Dir(filepath.Dir(path))
		for _, of := range []struct {
			uid, gid int
			mode     fs.FileMode
			want     string // empty: it is written
		}{
			{65534, 65534, 0o755, above + " belongs to the user 65534"},
			{0, 65534, 0o775, "users other than root may write to " + above},
			{0, 0, 0o757, "users other than root may write to " + above},
			{0, 0, 0o775, ""},
			{0, 65534, 0o777 | fs.ModeSticky, ""},
		} {
			must(t, os.Chown(above, of.uid, of.gid))
			must(t, os.Chmod(above, of.mode))
			out, err := command(t, "once", path, "new").CombinedOutput()
			if (err == nil) != (of.want == "") || !strings.Contains(string(out), of.want) {
				t.Errorf("%v: %v %s", of, err, out)
			}
			if err != nil {
				whole(t, path)
			}
		}
	})
}

// Where others may write, as in a volume that containers share, root changes the layer, stays in that folder, and
// removes nothing there that it may not have made.
func TestAsRootAmongOthers(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play it
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		around := filepath.Dir(path)
		once := func(want string) {
			t.Helper()
			out, err := command(t, "once", path, "new").CombinedOutput()
			if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
				t.Errorf("%v %s, want %q", err, out, want)
			}
		}
		for _, of := range []struct {
			uid, gid int
			mode     fs.FileMode
		}{{0, 0, 0o777}, {0, 65534, 0o775 | fs.ModeSetgid}, {65534, 65534, 0o755}} {
			must(t, os.Chown(around, of.uid, of.gid))
			must(t, os.Chmod(around, of.mode))
			once("")
			if !strings.Contains(content(t, path), "new=1") {
				t.Errorf("%v: %s", of, content(t, path))
			}
		}
		// What root makes does not keep the owner of the folder from what he may do.
		chownAll(t, around, 65534, 65534)
		if filepath.Ext(path) != ".yaml" {
			must(t, (DiskLayer{path, some("sub/folder")}).Apply(t.Context(), Change{{"k", "1"}}))
		}
		for range 3 {
			cmd := command(t, "once", path, "new")
			as(t, cmd, 65534, 65534)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		}
		elsewhere := sharedFolder(t)
		tree(t, elsewhere, map[string]string{"layer/private": "1", "rtds.yaml": emptyRTDS})
		before := listing(t, elsewhere)
		if filepath.Ext(path) != ".yaml" {
			target, err := filepath.EvalSymlinks(path)
			must(t, err)
			for _, next := range []string{"current.a", "current.b"} {
				if filepath.Join(around, next) != target {
					tree(t, around, map[string]string{next + "/private": "1"})
				}
			}
			once("")
			if _, err := os.Stat(filepath.Join(around, "current.c", "new")); err != nil {
				t.Error(err)
			}
			if found, _ := filepath.Glob(around + "/current.?/private"); len(found) != 1 {
				t.Errorf("of what root may not have made there is %v", found)
			}
			must(t, os.Remove(path))
			must(t, os.Symlink(filepath.Join(elsewhere, "layer"), path))
		} else {
			must(t, os.Remove(path))
			must(t, os.Symlink(filepath.Join(elsewhere, "rtds.yaml"), path))
		}
		once("leads elsewhere, to " + elsewhere)
		if after := listing(t, elsewhere); after != before {
			t.Errorf("elsewhere is %s, was %s", after, before)
		}
	})
}

// What lets Envoy read a file stays, also where its mode does not say it, and so does the time of what is not changed.
func TestAttributesStay(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		file := path
		if filepath.Ext(path) != ".yaml" {
			file = filepath.Join(path, "secret")
		}
		// u::rw-,u:65534:r--,g::---,m::r--,o::---
		list := []byte{2: 0, 0: 2, 4: 1, 6: 6, 8: 255, 9: 255, 10: 255, 11: 255, 12: 2, 14: 4, 16: 254, 17: 255,
			20: 4, 24: 255, 25: 255, 26: 255, 27: 255, 28: 16, 30: 4, 32: 255, 33: 255, 34: 255, 35: 255,
			36: 32, 40: 255, 41: 255, 42: 255, 43: 255}
		if err := unix.Setxattr(file, "system.posix_acl_access", list, 0); errors.Is(err, unix.ENOTSUP) {
			return // the file system has none
		} else if err != nil {
			t.Fatal(err)
		}
		then := time.Unix(1e9, 0)
		must(t, os.Chtimes(file, then, then))
		if out, err := command(t, "once", path, "new").CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		got := make([]byte, 100)
		n, err := unix.Getxattr(file, "system.posix_acl_access", got)
		if err != nil || !bytes.Equal(got[:n], list) {
			t.Errorf("%v, %v, want %v", got[:n], err, list)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 ||
			file != path && !info.ModTime().Equal(then) {
			t.Errorf("%v, %v, %v", info.Mode(), info.ModTime(), err)
		}
	})
}

// An RTDS file keeps its mode, and stays the link that it is.
func TestRTDSKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"real/rtds.yaml@600": emptyRTDS, "rtds.yaml": "-> real/rtds.yaml"})
	file := filepath.Join(dir, "rtds.yaml")
	before, _ := os.Lstat(file)
	if err := RTDSFile(file).Apply(t.Context(), Change{{"123", "1"}, {"true", "1"}}); err != nil {
		t.Fatal(err)
	}
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

// The owner who is not root keeps the group by which Envoy reads, and can change a layer with folders that nobody may
// write to. Only root can play him: everybody else is himself, in his own group.
func TestAsOwner(t *testing.T) {
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		uid, gid := os.Getuid(), os.Getgid()
		if uid == 0 {
			uid, gid = 65534, 12345
		}
		folder := filepath.Dir(path)
		tree(t, folder, map[string]string{"current.a/closed/x": "1"})
		must(t, os.Chmod(filepath.Join(folder, "current.a", "closed"), 0o555))
		chownAll(t, folder, uid, gid)
		for range 4 {
			cmd := command(t, "once", path, "new")
			as(t, cmd, uid, gid)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			info, err := os.Stat(path)
			must(t, err)
			if got := info.Sys().(*syscall.Stat_t); int(got.Uid) != uid || int(got.Gid) != gid {
				t.Errorf("it belongs to %d:%d, want %d:%d", got.Uid, got.Gid, uid, gid)
			}
		}
	})
}

// In a folder in which nobody can move what is another's, as a tmpfs of Docker's is, root leaves a layer to its owner.
func TestSticky(t *testing.T) {
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		folder, uid, gid := filepath.Dir(path), os.Getuid(), os.Getgid()
		if uid == 0 {
			uid, gid = 65534, 12345
		}
		if filepath.Ext(path) == ".yaml" {
			must(t, os.Mkdir(filepath.Join(folder, "real"), 0o755))
			must(t, os.Rename(path, filepath.Join(folder, "real", "rtds.yaml")))
			must(t, os.Symlink("real/rtds.yaml", path))
		}
		chownAll(t, folder, uid, gid)
		must(t, os.Lchown(folder, os.Getuid(), os.Getgid()))
		must(t, os.Chmod(folder, 0o777|fs.ModeSticky))
		must(t, layerAt(path).Apply(t.Context(), Change{{"k", "2"}}))
		cmd := command(t, "once", path, "new")
		as(t, cmd, uid, gid)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("its owner can't change it any more: %s", out)
		}
	})
}

func chownAll(t *testing.T, folder string, uid, gid int) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(p, uid, gid)
		}
		return err
	}))
}

// as makes root run a command as another user, with a further group.
func as(t *testing.T, cmd *exec.Cmd, uid, group int) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	cmd.Path = filepath.Join(sharedFolder(t), "program") // where another user may run it
	binary, err := os.ReadFile(os.Args[0])
	must(t, err)
	syscall.ForkLock.RLock() // a process that another test starts would keep the file open, and an open program can't run
	err = os.WriteFile(cmd.Path, binary, 0o755)
	syscall.ForkLock.RUnlock()
	must(t, err)
	must(t, os.Chmod(cmd.Path, 0o755))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid),
		Groups: []uint32{uint32(group)}}}
}

// Where no file can be made, that is said before anything is done, and so it is of a link whose target could be
// changed.
func TestReadOnly(t *testing.T) {
	refused := func(t *testing.T, path, folder string) {
		t.Helper()
		must(t, os.Chmod(folder, 0o555))
		t.Cleanup(func() { must(t, os.Chmod(folder, 0o755)) })
		cmd := command(t, "once", path, "new")
		as(t, cmd, 65534, 65534)
		if out, err := cmd.CombinedOutput(); err == nil ||
			string(out) != "no file can be made in "+folder+": permission denied\n" {
			t.Errorf("%v %s", err, out)
		}
		whole(t, path)
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 2 {
			t.Errorf("it left more than the layer: %v, %v", left, err)
		}
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) { refused(t, path, filepath.Dir(path)) })
	t.Run("link", func(t *testing.T) {
		t.Parallel()
		folder := sharedFolder(t)
		target, link := filepath.Join(folder, "open", "rtds.yaml"), filepath.Join(folder, "closed", "rtds.yaml")
		must(t, os.Mkdir(filepath.Dir(target), 0o755))
		must(t, os.Mkdir(filepath.Dir(link), 0o755))
		must(t, RTDSFile(target).Apply(t.Context(), Change{{"k", "1"}, {"other", "7"}}))
		must(t, os.Symlink(target, link))
		must(t, os.Chmod(filepath.Dir(target), 0o777))
		refused(t, link, filepath.Dir(link))
	})
}

// sharedFolder is a folder that every user can enter. t.TempDir need not be one: TMPDIR may be closed to others.
func sharedFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "healthgate-layer-")
	must(t, err)
	t.Cleanup(func() { removeAll(t, folder) })
	must(t, os.Chmod(folder, 0o755))
	return folder
}

// removeAll also removes what lies in folders without write permission.
func removeAll(t *testing.T, path string) {
	around, err := openFolder(filepath.Dir(path))
	must(t, err)
	defer around.Close()
	must(t, around.removeAll(filepath.Base(path)))
}

// Whoever owns a layer's folder may put anything in the place of what was a folder or a file when it was listed: it is
// neither read nor changed.
func TestSwappedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"layer/sub": "-> ../secret", "layer/file": "-> ../secret/key", "secret/key": "1",
		"copy/a": "1"})
	must(t, syscall.Mkfifo(filepath.Join(dir, "layer/pipe"), 0o600))
	from, err := openFolder(filepath.Join(dir, "layer"))
	must(t, err)
	defer from.Close()
	to, err := openFolder(filepath.Join(dir, "copy"))
	must(t, err)
	defer to.Close()
	if err := copyFolder(to, from, "sub", false); err == nil {
		t.Error("a link was followed as a folder")
	}
	for _, name := range []string{"file", "pipe"} {
		if err := copyFile(to, from, name); err == nil {
			t.Errorf("the %s was read", name)
		}
	}
	must(t, os.Rename(to.path, filepath.Join(dir, "moved")))
	tree(t, dir, map[string]string{"copy": "-> secret"})
	if err := to.still(); err == nil {
		t.Error("a link in a folder's place was not noticed")
	}
	must(t, to.empty())
	if got := listing(t, filepath.Join(dir, "secret")); got != "key=1" {
		t.Errorf("what another folder holds is now %q", got)
	}
}

// Behind a link, .. is the folder above the one that the link leads to, as it is for Envoy.
func TestAboveALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"link": "-> there/far", "there/far/x": "", "there/current": "-> current.a",
		"there/current.a/a": "1", "there/rtds.yaml": emptyRTDS})
	for path, want := range map[string]string{"current": "a=1; k=1", "rtds.yaml": "k=1"} {
		must(t, layerAt(dir+"/link/../"+path).Apply(t.Context(), Change{{"k", "1"}}))
		if got := content(t, filepath.Join(dir, "there", path)); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
}

func TestRTDSFileIsNoPipe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rtds.yaml")
	must(t, syscall.Mkfifo(file, 0o600))
	if err := RTDSFile(file).Check(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Error(err)
	}
}

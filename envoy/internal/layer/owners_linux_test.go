package layer

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
	"golang.org/x/sys/unix"
)

// Who can't keep the group by which Envoy reads is told so, and nothing is changed. A group that may no more than
// everybody need not be kept.
func TestAsStranger(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play him
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		must.Do(t, os.Chmod(filepath.Dir(path), 0o777))
		readers := path
		if filepath.Ext(path) != ".yaml" {
			must.Do(t, os.Remove(filepath.Join(path, "secret")))
			readers = filepath.Join(path, "other")
		}
		once := func(mode fs.FileMode) (string, error) {
			must.Do(t, os.Chmod(readers, mode))
			return as(t, 65534, 65534, "once", path)
		}
		before := content(t, path)
		out, err := once(0o664)
		if err == nil || !strings.Contains(out, "is of the group 0, which this user is not in") {
			t.Errorf("%v %s", err, out)
		}
		must.Do(t, os.Chmod(readers, 0o644))
		if after := content(t, path); after != before {
			t.Errorf("there is %s, was %s", after, before)
		}
		if out, err := once(0o644); err != nil || !strings.Contains(content(t, path), "new=") {
			t.Errorf("%v %s", err, out)
		}
	})
}

// Who changes what another user owns becomes its owner: only where that other may still read it, for all may, or his
// group, which he is known to be in.
func TestAsMemberOfTheGroup(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play him
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		if filepath.Ext(path) != ".yaml" {
			must.Do(t, os.Remove(filepath.Join(path, "secret")))
		}
		for _, of := range []struct {
			uid  int
			mode fs.FileMode
			want string // empty: it is written
		}{
			{54321, 0o640, "belongs to the user 54321, so its like can't be made"},
			{54321, 0o644, ""},
			{1, 0o640, ""}, // who is in the group 1 everywhere
		} {
			must.Do(t, os.Chmod(filepath.Dir(path), 0o777))
			chownAll(t, filepath.Dir(path), of.uid, 1)
			files, _ := filepath.Glob(path + "/*")
			for _, file := range append(files, path) {
				if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
					must.Do(t, os.Chmod(file, of.mode))
				}
			}
			for _, how := range []string{"try", "once"} {
				out, err := as(t, 65534, 1, how, path)
				if (err == nil) != (of.want == "") || !strings.Contains(out, of.want) {
					t.Errorf("%v: %s: %v %s", of, how, err, out)
				}
			}
		}
	})
}

// Root that may not give files away, as in a container without capabilities, changes what all may read, and nothing
// else.
func TestAsRootWithoutCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		return // only root can play it
	}
	eachKindIn(t, sharedFolder, func(t *testing.T, path string) {
		must.Do(t, os.Chmod(filepath.Dir(path), 0o777))
		chownAll(t, filepath.Dir(path), 65534, 0)
		file := path
		if filepath.Ext(path) != ".yaml" {
			must.Do(t, os.Remove(filepath.Join(path, "secret")))
			file = filepath.Join(path, "other")
		}
		for _, want := range []string{"belongs to the user 65534, so its like can't be made", ""} {
			mode := map[bool]fs.FileMode{true: 0o644, false: 0o600}[want == ""]
			must.Do(t, os.Chmod(file, mode))
			before := content(t, path)
			cmd := command(t, "once", path, "new")
			ended := make(chan struct{})
			var out []byte
			var err error
			go func() {
				runtime.LockOSThread() // the thread ends with this function
				if err = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_CHOWN, 0, 0, 0); err == nil {
					out, err = cmd.CombinedOutput()
				}
				close(ended)
			}()
			<-ended
			if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
				t.Errorf("%v: %v %s", mode, err, out)
			}
			if after := content(t, path); (after == before) != (want != "") {
				t.Errorf("%v: there is %s, was %s", mode, after, before)
			}
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
		must.Do(t, os.Mkdir(below, 0o755))
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
			must.Do(t, os.Chown(above, of.uid, of.gid))
			must.Do(t, os.Chmod(above, of.mode))
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
			must.Do(t, os.Chown(around, of.uid, of.gid))
			must.Do(t, os.Chmod(around, of.mode))
			once("")
			if !strings.Contains(content(t, path), "new=1") {
				t.Errorf("%v: %s", of, content(t, path))
			}
		}
		// What root makes does not keep the owner of the folder from what he may do.
		chownAll(t, around, 65534, 65534)
		if filepath.Ext(path) != ".yaml" {
			must.Do(t, (DiskLayer{path, some("sub/folder")}).Apply(t.Context(), Change{{"k", "1"}}))
		}
		for range 3 {
			if out, err := as(t, 65534, 65534, "once", path); err != nil {
				t.Errorf("%v %s", err, out)
			}
		}
		elsewhere := sharedFolder(t)
		tree(t, elsewhere, map[string]string{"layer/private": "1", "rtds.yaml": emptyRTDS})
		before := listing(t, elsewhere)
		if filepath.Ext(path) != ".yaml" {
			tree(t, around, map[string]string{made + "/private": "1"})
			once("")
			if _, err := os.Stat(filepath.Join(around, made, "private")); err != nil {
				t.Errorf("what root may not have made is gone: %v", err)
			}
			must.Do(t, os.Remove(path))
			must.Do(t, os.Symlink(filepath.Join(elsewhere, "layer"), path))
		} else {
			must.Do(t, os.Remove(path))
			must.Do(t, os.Symlink(filepath.Join(elsewhere, "rtds.yaml"), path))
		}
		once("leads elsewhere, to " + elsewhere)
		if after := listing(t, elsewhere); after != before {
			t.Errorf("elsewhere is %s, was %s", after, before)
		}
	})
}

// setList gives a file or folder an access control list, u::owner,u:65534:other,g::---,m::other,o::---. It returns the
// list, nil where the file system has none.
func setList(t *testing.T, path, name string, owner, other byte) []byte {
	t.Helper()
	list := []byte{0: 2, 4: 1, 6: owner, 8: 255, 9: 255, 10: 255, 11: 255, 12: 2, 14: other, 16: 254, 17: 255, 20: 4,
		24: 255, 25: 255, 26: 255, 27: 255, 28: 16, 30: other, 32: 255, 33: 255, 34: 255, 35: 255, 36: 32, 40: 255, 41: 255,
		42: 255, 43: 255}
	err := unix.Setxattr(path, name, list, 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	must.Do(t, err)
	return list
}

// What lets Envoy read a file stays, also where its mode does not say it, and so does the time of what is not changed.
func TestAttributesStay(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		file := path
		if filepath.Ext(path) != ".yaml" {
			file = filepath.Join(path, "secret")
		}
		list := setList(t, file, accessList, 6, 4)
		if list == nil {
			return
		}
		then := time.Unix(1e9, 0)
		must.Do(t, os.Chtimes(file, then, then))
		if out, err := command(t, "once", path, "new").CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		got := make([]byte, 100)
		n, err := unix.Getxattr(file, accessList, got)
		if err != nil || !bytes.Equal(got[:n], list) {
			t.Errorf("%v, %v, want %v", got[:n], err, list)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 ||
			file != path && !info.ModTime().Equal(then) {
			t.Errorf("%v, %v, %v", info.Mode(), info.ModTime(), err)
		}
	})
}

// What a folder hands down to new files in it changes neither who may read what is there, nor that all may read a new
// key.
func TestNothingHandedDown(t *testing.T) {
	eachKind(t, func(t *testing.T, path string) {
		if setList(t, filepath.Dir(path), defaultList, 7, 7) == nil {
			return
		}
		modes := map[string]fs.FileMode{path: 0o640}
		if filepath.Ext(path) != ".yaml" {
			modes = map[string]fs.FileMode{path: 0o750, path + "/other": 0o640, path + "/new": 0o644}
		}
		for file, mode := range modes {
			if filepath.Base(file) != "new" {
				must.Do(t, os.Chmod(file, mode))
			}
		}
		must.Do(t, layerAt(path).Apply(t.Context(), Change{{"new", "1"}}))
		for file, mode := range modes {
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %v, %v, want %v", file, info.Mode(), err, mode)
			}
			for _, list := range []string{accessList, defaultList} {
				if _, err := unix.Getxattr(file, list, nil); !errors.Is(err, unix.ENODATA) {
					t.Errorf("%s has the list %s, %v", file, list, err)
				}
			}
		}
	})
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
		tree(t, folder, map[string]string{made + "/closed/x": "1"})
		must.Do(t, os.Chmod(filepath.Join(folder, made, "closed"), 0o555))
		chownAll(t, folder, uid, gid)
		for range 4 {
			if out, err := as(t, uid, gid, "once", path); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			info, err := os.Stat(path)
			must.Do(t, err)
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
			must.Do(t, os.Mkdir(filepath.Join(folder, "real"), 0o755))
			must.Do(t, os.Rename(path, filepath.Join(folder, "real", "rtds.yaml")))
			must.Do(t, os.Symlink("real/rtds.yaml", path))
		}
		chownAll(t, folder, uid, gid)
		must.Do(t, os.Lchown(folder, os.Getuid(), os.Getgid()))
		must.Do(t, os.Chmod(folder, 0o777|fs.ModeSticky))
		must.Do(t, layerAt(path).Apply(t.Context(), Change{{"k", "2"}}))
		if out, err := as(t, uid, gid, "once", path); err != nil {
			t.Errorf("its owner can't change it any more: %s", out)
		}
	})
}

func chownAll(t *testing.T, folder string, uid, gid int) {
	t.Helper()
	must.Do(t, filepath.WalkDir(folder, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(p, uid, gid)
		}
		return err
	}))
}

// as changes a layer, by root as another user with a further group, and returns what the process says.
func as(t *testing.T, uid, group int, how, path string) (out string, err error) {
	t.Helper()
	cmd := command(t, how, path, "new")
	if os.Getuid() == 0 {
		play(t, cmd, uid, group)
	}
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// play has root run a command as another user.
func play(t *testing.T, cmd *exec.Cmd, uid, group int) {
	t.Helper()
	cmd.Env = append(cmd.Environ(), "TMPDIR=/tmp")       // this process's may be closed to others
	cmd.Path = filepath.Join(sharedFolder(t), "program") // where another user may run it
	binary, err := os.ReadFile(os.Args[0])
	must.Do(t, err)
	syscall.ForkLock.RLock() // a process that another test starts would keep the file open, and an open program can't run
	err = os.WriteFile(cmd.Path, binary, 0o755)
	syscall.ForkLock.RUnlock()
	must.Do(t, err)
	must.Do(t, os.Chmod(cmd.Path, 0o755))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid),
		Groups: []uint32{uint32(group)}}}
}

// sharedFolder is a folder that every user can enter. t.TempDir need not be one: TMPDIR may be closed to others.
func sharedFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "healthgate-layer-")
	must.Do(t, err)
	t.Cleanup(func() { removeAll(t, folder) })
	must.Do(t, os.Chmod(folder, 0o755))
	return folder
}

// removeAll also removes what lies in folders without write permission.
func removeAll(t *testing.T, path string) {
	around, err := openFolder(filepath.Dir(path))
	must.Do(t, err)
	defer around.Close()
	must.Do(t, around.removeAll(filepath.Base(path)))
}

// Whoever owns a layer's folder may put anything in the place of what was a folder or a file when it was listed: it is
// neither read nor changed.
func TestSwappedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"layer/sub": "-> ../secret", "layer/file": "-> ../secret/key", "secret/key": "1",
		"copy/a": "1"})
	must.Do(t, syscall.Mkfifo(filepath.Join(dir, "layer/pipe"), 0o600))
	from, err := openFolder(filepath.Join(dir, "layer"))
	must.Do(t, err)
	defer from.Close()
	to, err := openFolder(filepath.Join(dir, "copy"))
	must.Do(t, err)
	defer to.Close()
	if err := copyFolder(to, from, "sub", false); err == nil {
		t.Error("a link was followed as a folder")
	}
	for _, name := range []string{"file", "pipe"} {
		if err := copyFile(to, from, name); err == nil {
			t.Errorf("the %s was read", name)
		}
	}
	must.Do(t, os.Rename(to.path, filepath.Join(dir, "moved")))
	tree(t, dir, map[string]string{"copy": "-> secret"})
	if err := to.still(); err == nil {
		t.Error("a link in a folder's place was not noticed")
	}
	must.Do(t, to.empty())
	tree(t, dir, map[string]string{"left": "-> secret"})
	if around, err := openFolder(dir); err != nil || around.removeAll("left") == nil {
		t.Errorf("a link was followed as a folder that is to be removed, %v", err)
	}
	if got := listing(t, filepath.Join(dir, "secret")); got != "key=1" {
		t.Errorf("what another folder holds is now %q", got)
	}
}

//go:build unix

package layer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// folder is an open folder. What is made or removed in it stays in it, whatever others move or link meanwhile.
type folder struct {
	*os.Root        // nil for a folder that is not there
	path     string // by which no link leads there
}

func openFolder(path string) (folder, error) {
	root, err := os.OpenRoot(path)
	return folder{root, path}, err
}

// enter opens a folder in which this process may make files.
func enter(path string) (folder, error) {
	if !filepath.IsAbs(path) {
		here, err := os.Getwd()
		if err != nil {
			return folder{}, err
		}
		path = here + "/" + path
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return folder{}, err
	}
	if err := syscall.Access(path, 2); err != nil { // W_OK
		return folder{}, fmt.Errorf("no file can be made in %s: %w", path, err)
	}
	if err := notOfAnother(filepath.Dir(path)); err != nil {
		return folder{}, err
	}
	f, err := openFolder(path)
	return f, errors.Join(err, f.still())
}

// split returns the folder of a path, with a slash behind it, and its last name. For filepath.Dir, .. behind a link is
// the folder that the link lies in.
func split(path string) (around, name string) {
	for path != "/" && (strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.")) {
		path = path[:len(path)-1]
	}
	around, name = filepath.Split(path)
	return cmp.Or(around, "./"), name
}

func (f folder) Close() {
	if f.Root != nil {
		f.Root.Close()
	}
}

func (f folder) below(name string) (folder, error) {
	root, err := f.OpenRoot(name)
	return folder{root, filepath.Join(f.path, name)}, err
}

// still reports an error unless the folder was opened by its name, and not by a link in its place.
func (f folder) still() error {
	if f.Root == nil {
		return nil
	}
	opened, err := f.Stat(".")
	named, lstat := os.Lstat(f.path)
	if err = errors.Join(err, lstat); err == nil && !os.SameFile(opened, named) {
		err = swapped(f.path)
	}
	return unread(f, err)
}

func swapped(path string) error {
	return fmt.Errorf("something else was put in the place of %s meanwhile; do it again", path)
}

// unmoved reports an error if a name leads to something else than since, which is nil for nothing: another program,
// which knows of no lock, put its own there, and that stays.
func (f folder) unmoved(name string, since fs.FileInfo) error {
	now, err := f.Lstat(name)
	if same := err == nil && since != nil && os.SameFile(now, since) && now.ModTime().Equal(since.ModTime()); same ||
		since == nil && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return swapped(filepath.Join(f.path, name))
}

// relink makes a link that is to be moved onto another, with the owner of that: in a folder with a sticky bit, who does
// not own a link can't replace it. Where others may move files, they could have root give them another one.
func (f folder) relink(target, next, name string) error {
	if err := f.Symlink(target, next); err != nil || os.Geteuid() != 0 {
		return err
	}
	if info, err := f.Lstat(name); err == nil && notOfAnother(f.path) == nil {
		if like, is := info.Sys().(*syscall.Stat_t); is {
			_ = f.Lchown(next, int(like.Uid), int(like.Gid))
		}
	}
	return nil
}

// mkdir makes a folder that only this user may enter.
func (f folder) mkdir(name string) (folder, error) {
	if err := f.Mkdir(name, 0o700); err != nil {
		return folder{}, err
	}
	made, err := f.below(name)
	if err != nil {
		return made, err
	}
	if entries, _ := made.entries(); len(entries) > 0 {
		err = swapped(made.path)
	}
	return made, errors.Join(err, made.still())
}

// readableByAll gives a new folder its mode, whatever the umask.
func (f folder) readableByAll(name string) error {
	made, err := f.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.open(made, name, 0o755), made.Close())
}

// open gives a new file or folder a mode by which everybody may read it, whatever the umask and the access control list
// that the folder around it hands down. What root makes is given to the owner of that folder, who could not change or
// remove it otherwise.
func (f folder) open(made *os.File, name string, mode fs.FileMode) error {
	if os.Geteuid() == 0 {
		if info, err := os.Stat(filepath.Dir(filepath.Join(f.path, name))); err == nil {
			_ = own(made, info, false) // in a container, root need not be allowed to
		}
	}
	_ = unix.Fremovexattr(int(made.Fd()), accessList)
	return made.Chmod(mode)
}

func (f folder) entries() ([]fs.DirEntry, error) { return fs.ReadDir(f.FS(), ".") }

// unique ends the names of what this package makes beside a file or link. Nobody else gives a name such an end: it is
// the proof that a thing is this package's own, also after a run that is killed.
var unique = regexp.MustCompile(`\.healthgate-[0-9a-f]{16}$`)

// beside returns a new name beside another.
func beside(name string) string { return fmt.Sprintf("%s.healthgate-%016x", name, rand.Uint64()) }

// isBeside reports whether this package made what bears a name, beside another.
func isBeside(made, name string) bool {
	return unique.MatchString(made) && unique.ReplaceAllString(made, "") == name
}

// used returns what the links in the folder lead to, or into: names in this folder.
func (f folder) used() map[string]bool {
	used := map[string]bool{}
	entries, _ := f.entries()
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 || unique.MatchString(e.Name()) { // which only a killed run left
			continue
		}
		if target, err := filepath.EvalSymlinks(filepath.Join(f.path, e.Name())); err == nil {
			below, _ := filepath.Rel(f.path, target)
			name, _, _ := strings.Cut(below, "/")
			used[name] = true
		}
	}
	return used
}

// sweep removes what this package made beside a name and no link leads to. Where others may write, root does not know
// what they put into a folder.
func (f folder) sweep(name string) {
	used := f.used()
	entries, _ := f.entries()
	for _, e := range entries {
		switch left := e.Name(); {
		case !isBeside(left, name) || used[left]:
		case !e.IsDir():
			_ = f.Remove(left)
		case notOfAnother(f.path) == nil:
			_ = f.removeAll(left)
		}
	}
}

// removeAll removes a folder in this one.
func (f folder) removeAll(name string) error {
	left, err := f.below(name)
	if err != nil {
		return err
	}
	defer left.Close()
	if err := left.still(); err != nil {
		return err
	}
	return errors.Join(left.empty(), f.Remove(name))
}

// empty removes all that is in the folder, also what lies in folders without write permission, as copies of such are.
func (f folder) empty() error {
	if os.Geteuid() != 0 { // who needs no permission
		_ = fs.WalkDir(f.FS(), ".", func(name string, e fs.DirEntry, _ error) error {
			if e != nil && e.IsDir() {
				_ = f.Chmod(name, 0o700) // is called before the folder is read
			}
			return nil
		})
	}
	entries, err := f.entries()
	for _, e := range entries {
		err = errors.Join(err, f.RemoveAll(e.Name()))
	}
	return err
}

// sync makes a folder's names last through a power failure.
func (f folder) sync() error {
	opened, err := f.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// create writes a new file with the mode, the owner and the attributes of an earlier one, or, unless that is strict, as
// many as this user may give; without one, everybody may read it, or, unless that is strict, whom the umask leaves.
func (f folder) create(name string, content io.Reader, like *os.File, strict bool) error {
	mode := fs.FileMode(0o600)
	if like == nil && !strict {
		mode = 0o666
	}
	made, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(made, content)
	if like != nil {
		err = errors.Join(err, resemble(made, like, strict))
	} else if strict {
		err = errors.Join(err, f.open(made, name, 0o644))
	}
	return errors.Join(err, made.Sync(), made.Close()) // to be there after a power failure
}

// resemble gives a new file or folder what another has: its mode, its owner, if root changes what belongs to somebody
// else, and its access control list, or none. Unless it is strict, the owner may be another, whose group gets no more
// then than all others have.
func resemble(made, like *os.File, strict bool) error {
	info, err := like.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	if info.IsDir() {
		mode |= info.Mode() & (fs.ModeSetgid | fs.ModeSetuid | fs.ModeSticky)
	}
	if err = own(made, info, strict); err != nil {
		err = fmt.Errorf("%s %w", like.Name(), err)
	}
	if err != nil && !strict {
		err, mode = nil, mode&(0o707|mode<<3&0o070)
	}
	return errors.Join(err, made.Chmod(mode), copyAttributes(made, like))
}

// own gives a file the owner that like has, or, if it is strict, another if that owner may still read it.
func own(f *os.File, like fs.FileInfo, strict bool) error {
	owner, is := like.Sys().(*syscall.Stat_t)
	info, err := f.Stat()
	if !is || err != nil {
		return err
	}
	now, is := info.Sys().(*syscall.Stat_t)
	if is && now.Uid == owner.Uid && now.Gid == owner.Gid ||
		os.Geteuid() == 0 && f.Chown(int(owner.Uid), int(owner.Gid)) == nil { // in a container, root need not be allowed to
		return nil
	}
	why, mode := "", like.Mode()
	switch {
	case strict && now.Uid != owner.Uid && !readsStill(owner, mode):
		why = fmt.Sprintf("belongs to the user %d", owner.Uid)
	// An owner may give a file to each group that he is in. It matters if the group may what others may not.
	case f.Chown(-1, int(owner.Gid)) != nil && (mode>>3&7 != mode&7 || mode&fs.ModeSetgid != 0):
		why = fmt.Sprintf("is of the group %d, which this user is not in", owner.Gid)
	default:
		return nil
	}
	return fmt.Errorf("%s, so its like can't be made: do this as its owner, or as root that may give files away", why)
}

// readsStill reports whether the owner of a file is known to be able to read it where it belongs to another user.
func readsStill(owner *syscall.Stat_t, mode fs.FileMode) bool {
	if u, err := user.LookupId(strconv.Itoa(int(owner.Uid))); err == nil {
		if groups, err := u.GroupIds(); err == nil && slices.Contains(groups, strconv.Itoa(int(owner.Gid))) {
			mode |= mode >> 3
		}
	}
	return owner.Uid == 0 || mode>>6&^mode&5 == 0
}

// The access control list of a file or folder, and the one that a folder hands down to what is made in it.
const accessList, defaultList = "system.posix_acl_access", "system.posix_acl_default"

// copyAttributes copies extended attributes. An access control list must be copied, since it may be what lets Envoy
// read the file, and the mode tells no more than its mask.
func copyAttributes(to, from *os.File) error {
	_ = unix.Fremovexattr(int(to.Fd()), accessList) // which the folder around it hands down
	_ = unix.Fremovexattr(int(to.Fd()), defaultList)
	names, value := make([]byte, 64<<10), make([]byte, 64<<10) // Linux's limits
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil || n == 0 { // the file system may have none at all
		return nil
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		n, err := unix.Fgetxattr(int(from.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		}
		if err != nil && (name == accessList || name == defaultList) {
			return fmt.Errorf("the access control list of %s can't be copied: %w", from.Name(), err)
		}
	}
	return nil
}

// notOfAnother keeps root out of a folder that another user owns or may write to, or that lies in such a one: he could
// put a link to any other folder in the place of what is made there.
func notOfAnother(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	path, err := filepath.Abs(folder)
	for above := ""; err == nil && above != path; path = filepath.Dir(path) {
		var info fs.FileInfo
		if info, err = os.Stat(path); err != nil {
			break
		}
		owner, is := info.Sys().(*syscall.Stat_t)
		if is && owner.Uid != 0 {
			return fmt.Errorf("%s belongs to the user %d, who could lead root elsewhere meanwhile: do this as that user, as by "+
				"sudo -u '#%d'", path, owner.Uid, owner.Uid)
		}
		others := fs.FileMode(0o022)
		if is && owner.Gid == 0 {
			others = 0o002
		}
		if mode := info.Mode(); mode&others != 0 && mode&fs.ModeSticky == 0 { // which lets none move what is root's
			return fmt.Errorf("users other than root may write to %s, and could lead root elsewhere meanwhile: "+
				"do this as one of them, or chmod go-w it", path)
		}
		above = path
	}
	return err
}

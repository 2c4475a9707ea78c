//go:build unix

package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPatience is how long other changes may hold the lock. One takes milliseconds, on a slow disk a second.
const lockPatience = 30 * time.Second

// lock waits until no other process changes a layer in this folder. The kernel frees the lock of a process that ends,
// however it ends; nothing is left in the folder.
func lock(ctx context.Context, folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("%s can't be locked: %w", folder, err)
		}
		select {
		case <-patience.Done():
			f.Close()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("another change has held %s for %s", folder, lockPatience)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writable reports an error unless this process may make files in a folder.
func writable(folder string) error {
	if err := syscall.Access(folder, 2); err != nil { // W_OK
		if absolute, err := filepath.Abs(folder); err == nil {
			folder = absolute
		}
		return fmt.Errorf("no file can be made in %s: %w", folder, err)
	}
	return notOfAnother(folder)
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

// own gives a file the owner that like has, if root changes what belongs to somebody else.
func own(f *os.File, like fs.FileInfo) error {
	if like == nil {
		return nil
	}
	owner, is := like.Sys().(*syscall.Stat_t)
	info, err := f.Stat()
	if !is || err != nil {
		return err
	}
	if now, is := info.Sys().(*syscall.Stat_t); is && now.Uid == owner.Uid && now.Gid == owner.Gid {
		return nil
	}
	if os.Geteuid() != 0 { // an owner may give a file to each group that he is in
		mode := like.Mode()
		matters := mode>>3&7 != mode&7 || mode&fs.ModeSetgid != 0 // the group may what others may not
		if f.Chown(-1, int(owner.Gid)) != nil && matters {
			return fmt.Errorf("%s is of the group %d, which this user is not in, so its like can't be made: do this as root "+
				"or as its owner",
				like.Name(), owner.Gid)
		}
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// Replacement is a file that was made beside another, to be moved into its place. No reader and no interruption sees
// half of it.
type Replacement struct{ file, next string }

// Replace makes a replacement with a text. Mode and owner are those of like, if it is there.
func Replace(file, text string, like fs.FileInfo) (Replacement, error) {
	return prepare(file, strconv.Itoa(os.Getpid()), func(next string) error {
		return create(next, strings.NewReader(text), like)
	})
}

// Move puts the replacement into its place.
func (r Replacement) Move() error {
	if err := os.Rename(r.next, r.file); err != nil {
		r.Drop()
		return notWritten(r.file, r.next, err)
	}
	return keep(r.file, filepath.Dir(r.file))
}

// Drop removes the replacement.
func (r Replacement) Drop() { _ = os.Remove(r.next) }

// replace makes a file beside another, with a name that ends so, and moves it there.
func replace(file, end string, write func(next string) error) error {
	r, err := prepare(file, end, write)
	if err != nil {
		return err
	}
	return r.Move()
}

func prepare(file, end string, write func(next string) error) (Replacement, error) {
	r := Replacement{file, filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+"."+end)}
	if err := os.Remove(r.next); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a run that was killed
		return r, notWritten(file, r.next, err)
	}
	if err := write(r.next); err != nil {
		r.Drop()
		return r, notWritten(file, r.next, err)
	}
	return r, nil
}

// notWritten says of a path that it can't be written, and what to do, if err is of one of the files that are made on
// the way, whose names begin with made: nobody asked for those.
func notWritten(path, made string, err error) error {
	var file *fs.PathError
	var link *os.LinkError
	isMade := func(path string) bool { return strings.HasPrefix(filepath.Clean(path), filepath.Clean(made)) }
	switch {
	case errors.As(err, &file) && isMade(file.Path):
		err = file.Err
	case errors.As(err, &link) && (isMade(link.Old) || isMade(link.New)):
		err = link.Err
	default:
		return err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	folder, absErr := filepath.Abs(filepath.Dir(path))
	remedy := ""
	switch {
	case absErr != nil:
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "; nothing was changed: free some space or inodes in " + folder + ", and do it again"
	case errors.Is(err, syscall.EFBIG):
		remedy = "; nothing was changed: raise the limit of this shell, ulimit -f, and do it again"
	case errors.Is(err, fs.ErrPermission):
		remedy = "; do it as a user who may write in " + folder
	}
	return fmt.Errorf("%s can't be written: %w%s", path, err, remedy)
}

// keep makes what was written to a path last through a power failure.
func keep(path, folder string) error {
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("%s is written and in its place, but a power failure may lose it: %w", path, err)
	}
	return nil
}

// syncFolder makes a folder's names last through a power failure.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

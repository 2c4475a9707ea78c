//go:build unix

package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockPatience is how long other changes may hold the lock. One takes milliseconds, on a slow disk a second.
const lockPatience = 30 * time.Second

// lock waits until no other process changes a layer in this folder. The kernel frees the lock of a process that ends,
// however it ends; nothing is left in the folder.
func lock(ctx context.Context, in folder) (unlock func(), err error) {
	f, err := in.Open(".")
	if err != nil {
		return nil, unread(in, err)
	}
	start := time.Now()
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
			return nil, fmt.Errorf("%s can't be locked: %w", in.path, err)
		}
		select {
		case <-patience.Done():
			f.Close()
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, fmt.Errorf("interrupted while another change held %s: this one was not made", in.path)
			}
			return nil, fmt.Errorf("another change has held %s for %s, so this one was not made: do it again", in.path,
				time.Since(start).Round(100*time.Millisecond))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Replacement is a file that was made beside another, to be moved into its place. No reader and no interruption sees
// half of it.
type Replacement struct {
	path       string
	in         folder
	name, next string
}

// Replace makes a replacement with a text. Mode and owner are those of the file that is there, or else of the regular
// file that it is a copy of; "" for none.
func Replace(file, text, of string) (Replacement, error) {
	around, name := split(file)
	in, err := openFolder(around)
	if err != nil {
		return Replacement{}, notWritten(file, err)
	}
	r := Replacement{file, in, name, "." + beside(name)} // which no sweep takes away meanwhile
	like, err := in.Open(name)
	strict := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		like, err = nil, nil
		if info, _ := os.Stat(of); info != nil && info.Mode().IsRegular() { // a pipe has been read already
			like, err = os.Open(of)
		}
	}
	if err != nil {
		return r, fmt.Errorf("%s can't be written with its mode: %w", file, err)
	}
	if like != nil {
		defer like.Close()
	}
	return r, r.prepare(func() error { return in.create(r.next, strings.NewReader(text), like, strict) })
}

func (r Replacement) prepare(write func() error) error {
	err := write()
	if err != nil {
		r.Drop()
	}
	return notWritten(r.path, err)
}

// Move puts the replacement into its place.
func (r Replacement) Move() error {
	defer r.Drop()
	if err := r.in.Rename(r.next, r.name); err != nil {
		return notWritten(r.path, err)
	}
	return keep(r.path, r.in)
}

// Drop removes the replacement.
func (r Replacement) Drop() {
	_ = r.in.Remove(r.next)
	r.in.Close()
}

// replace makes a file or link beside another, and moves it there.
func replace(path string, in folder, name string, write func(next string) error) error {
	in.sweep(name)
	r := Replacement{path, in, name, beside(name)}
	if err := r.prepare(func() error { return write(r.next) }); err != nil {
		return err
	}
	return r.Move()
}

// try does in a folder for temporary files what is to be done elsewhere.
func try(write func(made folder) error) error {
	trial := os.TempDir() + "/, where it is tried,"
	temporary, err := os.MkdirTemp("", "healthgate-")
	if err != nil {
		return notWritten(trial, err)
	}
	defer os.Remove(temporary)
	made, err := openFolder(temporary)
	if err != nil {
		return notWritten(trial, err)
	}
	defer made.Close()
	defer func() { _ = made.empty() }()
	return notWritten(trial, write(made))
}

// notWritten says of a path that it can't be written, and what to do, if err is of one of the files that are made on
// the way: nobody asked for those.
func notWritten(path string, err error) error {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &file):
		err = file.Err
	case errors.As(err, &link):
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
		remedy = "; it is unchanged: free some space or inodes in " + folder + ", and do it again"
	case errors.Is(err, syscall.EBUSY):
		remedy = "; it is unchanged: no other file can take the place of one that is mounted, so mount its folder"
	case errors.Is(err, syscall.EFBIG):
		remedy = "; it is unchanged: raise the limit of this shell, ulimit -f, and do it again"
	case errors.Is(err, fs.ErrPermission):
		remedy = "; do it as a user who may write in " + folder
	}
	return fmt.Errorf("%s can't be written: %w%s", path, err, remedy)
}

// unread says of a file in a folder that it can't be read, which nobody asked to be written.
func unread(from folder, err error) error {
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return fmt.Errorf("%s can't be read: %w", filepath.Join(from.path, file.Path), file.Err)
	}
	return err
}

// keep makes what was written to a path in a folder last through a power failure.
func keep(path string, in folder) error {
	if err := unread(in, in.sync()); err != nil {
		return fmt.Errorf("%s is written and in its place, but a power failure may lose it: %w", path, err)
	}
	return nil
}

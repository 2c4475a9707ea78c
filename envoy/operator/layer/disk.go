package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CheckDisk refuses a root that can't be the symlink_root of a disk layer that is changed here.
func CheckDisk(root string) error {
	root = filepath.Clean(root)
	if filepath.Base(root) == "..data" {
		return fmt.Errorf("%s is a mounted ConfigMap, which the kubelet replaces; change it with kubectl patch configmap", root)
	}
	info, err := os.Lstat(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%s is not a symbolic link; give the symlink_root of Envoy's disk_layer, a link that this command makes and replaces", root)
	}
	return nil
}

// lockPatience is how long another change may hold the lock. One takes milliseconds.
const lockPatience = 5 * time.Second

// Disk changes the disk layer whose symlink_root is root, and makes it when there is none. Envoy reads a layer again only
// when another link is moved onto symlink_root, so each change makes a whole new folder beside the old one, a link to it,
// and moves that link onto root. envoy/disk-layer does the same, and shares the lock.
func Disk(ctx context.Context, root string, change Change) (err error) {
	root = filepath.Clean(root)
	if err := CheckDisk(root); err != nil {
		return err
	}
	parent := filepath.Dir(root)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(parent, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	next, err := os.MkdirTemp(parent, "layer.")
	if err != nil {
		return err
	}
	link := next + ".link"
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(next), os.RemoveAll(link))
		}
	}()
	if err := os.Chmod(next, 0o755); err != nil { // an Envoy of another user reads it, too
		return err
	}
	old, err := filepath.EvalSymlinks(root)
	switch {
	case err == nil:
		if err := os.CopyFS(next, os.DirFS(old)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, p := range change {
		if err := writeKey(filepath.Join(next, p.Key), p.Value); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return err
	}
	if err := os.Rename(link, root); err != nil {
		return err
	}
	if old != "" && filepath.Dir(old) == resolved(parent) && strings.HasPrefix(filepath.Base(old), "layer.") {
		return os.RemoveAll(old)
	}
	return nil
}

func resolved(path string) string {
	if out, err := filepath.EvalSymlinks(path); err == nil {
		return out
	}
	return path
}

func writeKey(file, value string) error {
	if value == "" {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	// It is there for the restart after a power failure.
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}

// lock makes a folder that only one can make.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err := os.Mkdir(path, 0o755)
		if err == nil {
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		select {
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("another change holds %s; if none is running: rmdir %s", path, path)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

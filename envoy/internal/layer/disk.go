package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// DiskLayer is a disk layer of Envoy's runtime (envoy.config.bootstrap.v3.RuntimeLayer.DiskLayer).
type DiskLayer struct {
	Root string // its symlink_root
	// Subdirectory is where its keys are below Root: Envoy's subdirectory, with the name of the service cluster behind
	// it if append_service_cluster is set. Empty means Root itself. nil means that nobody said, which is an error if
	// Root holds folders: they may be part of the keys' names, or the subdirectory.
	Subdirectory *string
}

// Check reports an error if Root cannot be a symlink_root whose link this package replaces.
func (d DiskLayer) Check() error {
	root := filepath.Clean(d.Root)
	if filepath.Base(root) == "..data" {
		return fmt.Errorf("%s is a mounted ConfigMap, which the kubelet replaces; change it with kubectl patch configmap",
			root)
	}
	if d.Subdirectory != nil && *d.Subdirectory != "" && !filepath.IsLocal(*d.Subdirectory) {
		return fmt.Errorf("the subdirectory %q is no folder below %s", *d.Subdirectory, root)
	}
	info, err := os.Lstat(root)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(root))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no folder %s; is this the symlink_root of Envoy's disk_layer? If so, make the "+
				"folder first",
				filepath.Dir(root))
		}
		return err
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%s is not a symbolic link; give the symlink_root of Envoy's disk_layer, a link that this "+
			"command makes and replaces", root)
	}
	target, _ := os.Readlink(root)
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is a link to %s, where no folder is: is something not mounted? To begin with an empty "+
			"layer, remove the link", root, target)
	}
	return nil
}

// Holds reports whether the key lies in the layer, or where that is not known.
func (d DiskLayer) Holds(key string) bool {
	folder := d.Root
	if d.Subdirectory != nil {
		folder = filepath.Join(folder, *d.Subdirectory)
	}
	found, err := find(folder, key)
	return err != nil || len(found) > 0
}

// beside returns the folders that take turns behind Root, and the link before it is moved onto Root. They bear Root's
// name, since several layers may have their links in one folder.
func beside(root string) (folders [2]string, nextLink string) {
	base := filepath.Base(root)
	return [2]string{base + ".a", base + ".b"}, "." + base + ".link"
}

// Apply changes the layer, and makes it when there is none. Envoy reads a layer again only when another link is moved
// onto Root, so a whole new folder is made beside the old one, with the old one's files, links and modes, and one
// rename puts a link to it in Root's place. Whatever fails before the rename, the old layer is untouched; what fails
// after it is cleaning up, and loses nothing.
func (d DiskLayer) Apply(ctx context.Context, change Change) error {
	if err := d.Check(); err != nil {
		return err
	}
	root, err := filepath.Abs(d.Root) // links into the layer may be absolute
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Dir(root))
	if err != nil {
		return err
	}
	defer unlock()
	old, next, err := places(root)
	if err != nil {
		return err
	}
	folders, nextLink := beside(root)
	parent, name := filepath.Split(next)
	parent = filepath.Clean(parent)
	link := filepath.Join(parent, nextLink)
	direct, _ := os.Readlink(root)
	if direct != "" && !filepath.IsAbs(direct) {
		direct = filepath.Join(parent, direct)
	}
	for _, left := range []string{next, link} { // by a run that was killed
		if err := removeAll(left); err != nil {
			return fmt.Errorf("what an earlier run left at %s is in the way: remove it, %w", left, err)
		}
	}
	if err := d.write(next, old, change); err != nil {
		_ = removeAll(next)
		return notWritten(d.Root, next, err)
	}
	if err := os.Symlink(name, link); err != nil {
		return notWritten(d.Root, link, err)
	}
	if err := os.Rename(link, root); err != nil {
		_ = os.Remove(link)
		return notWritten(d.Root, link, err)
	}
	if err := keep(d.Root, parent); err != nil {
		return err
	}
	if slices.Contains(folders[:], filepath.Base(old)) && filepath.Dir(old) == parent && filepath.Clean(direct) == old {
		_ = removeAll(old)
	}
	return nil
}

// Try makes the layer that Apply would make in a folder for temporary files.
func (d DiskLayer) Try(change Change) error {
	if err := d.Check(); err != nil {
		return err
	}
	root, err := filepath.Abs(d.Root)
	if err != nil {
		return err
	}
	old, next, err := places(root)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "healthgate-")
	if err != nil {
		return notWritten(os.TempDir()+"/, where it is tried,", os.TempDir(), err)
	}
	defer func() { _ = removeAll(temporary) }()
	err = d.write(filepath.Join(temporary, filepath.Base(next)), old, change)
	return notWritten(os.TempDir()+"/, where it is tried,", temporary, err)
}

// places returns the folder behind root, empty if root is missing, and the folder in which the next layer is made.
func places(root string) (old, next string, err error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(root))
	if err != nil {
		return "", "", err
	}
	if old, err = filepath.EvalSymlinks(root); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	folders, _ := beside(root)
	next = filepath.Join(parent, folders[0])
	if inside, err := filepath.Rel(next, old); old != "" && err == nil && filepath.IsLocal(inside) {
		next = filepath.Join(parent, folders[1]) // the old layer is that folder, or lies in it
	}
	if info, err := os.Lstat(next); err == nil && !info.IsDir() {
		return "", "", fmt.Errorf("%s is in the way: the next layer is made there; move it away", next)
	}
	return old, next, writable(parent)
}

// write makes the folder next: old's content with the change.
func (d DiskLayer) write(next, old string, change Change) error {
	if old == "" {
		if err := mkdir(next); err != nil {
			return err
		}
	} else if err := copyTree(next, old, copied{old, filepath.Dir(old) != filepath.Dir(next)}); err != nil {
		return err
	}
	keys, err := d.keyFolder(next, change)
	if err != nil {
		return err
	}
	for _, p := range change {
		if err := writeKey(keys, p); err != nil {
			return err
		}
	}
	if err := readable(keys); err != nil {
		return err
	}
	return syncFolder(next)
}

// keyFolder returns the folder below layer that holds the keys.
func (d DiskLayer) keyFolder(layer string, change Change) (string, error) {
	if d.Subdirectory != nil {
		folder := filepath.Join(layer, *d.Subdirectory)
		for f := folder; f != layer; f = filepath.Dir(f) {
			if info, err := os.Lstat(f); err == nil && info.Mode()&fs.ModeSymlink != 0 {
				return "", fmt.Errorf("%s leads elsewhere by a symbolic link, where nothing is changed", *d.Subdirectory)
			}
		}
		return folder, mkdirAll(folder)
	}
	entries, err := os.ReadDir(layer)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(layer, e.Name())); err == nil && info.IsDir() &&
			!partOfKey(layer, e.Name(), change) {
			return "", &AmbiguousError{Root: d.Root, Folder: e.Name()}
		}
	}
	return layer, nil
}

// partOfKey reports whether the folder is known to be the first part of a key's name, because the rest lies in it.
func partOfKey(layer, folder string, change Change) bool {
	for _, p := range change {
		found, err := find(layer, p.Key)
		if err == nil && slices.ContainsFunc(found, func(path string) bool { return strings.HasPrefix(path, folder+"/") }) {
			return true
		}
	}
	return false
}

// AmbiguousError says that a layer holds a folder, and nobody said whether keys lie in it.
type AmbiguousError struct{ Root, Folder string }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s holds the folder %q: give the subdirectory of Envoy's disk_layer (with the cluster's name "+
		"behind it if append_service_cluster is set), or . if there is none", e.Root, e.Folder)
}

// mkdirAll is os.MkdirAll for folders that an Envoy of another user reads, whatever the umask.
func mkdirAll(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := mkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return mkdir(path)
}

func mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// removeAll is os.RemoveAll that also removes what lies in folders without write permission, as copies of such are.
// Root needs none, and a folder's owner could put a link in its place before its mode is changed.
func removeAll(path string) error {
	if os.Geteuid() != 0 {
		_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, _ error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(p, 0o700) // is called before the folder is read
			}
			return nil
		})
	}
	return os.RemoveAll(path)
}

// copied is the layer that a copy is made of, and whether the copy lies in another folder than the layer.
type copied struct {
	layer string
	moved bool
}

// copyTree copies a folder with its modes and, as far as we may, its owners. Symbolic links are copied as links.
// Nothing outside the layer is read, also where an owner puts a link in the place of a folder meanwhile.
func copyTree(to, from string, c copied) error {
	within, err := os.OpenRoot(c.layer)
	if err != nil {
		return err
	}
	defer within.Close()
	below, err := filepath.Rel(c.layer, from)
	if err != nil {
		return err
	}
	return copyFolder(to, below, within, c)
}

func copyFolder(to, below string, within *os.Root, c copied) error {
	folder, err := within.Open(below)
	if err != nil {
		return err
	}
	defer folder.Close()
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return err
	}
	from := filepath.Join(c.layer, below)
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir():
			err = copyFolder(target, filepath.Join(below, e.Name()), within, c)
		case e.Type()&fs.ModeSymlink != 0:
			err = copyLink(target, source, c)
		case e.Type().IsRegular():
			err = copyFile(target, filepath.Join(below, e.Name()), within)
		default:
			err = fmt.Errorf("%s is neither a file, a folder nor a symbolic link", source)
		}
		if err != nil {
			return err
		}
	}
	made, err := os.Open(to)
	if err != nil {
		return err
	}
	defer made.Close()
	if err := own(made, info); err != nil {
		return err
	}
	return made.Chmod(info.Mode() & (fs.ModePerm | fs.ModeSetgid | fs.ModeSetuid | fs.ModeSticky))
}

// copyLink copies a link that leads to the same place, or to the same place in the copy if it leads into the layer, by
// whatever name.
func copyLink(to, from string, c copied) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	folder := filepath.Dir(from)
	absolute := target
	if !filepath.IsAbs(target) {
		absolute = filepath.Join(folder, target)
	}
	real := absolute // by no other links, which may end with the old layer
	if parent, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil {
		real = filepath.Join(parent, filepath.Base(absolute))
	}
	below, err := filepath.Rel(c.layer, real)
	inside := err == nil && filepath.IsLocal(below)
	here, err := filepath.Rel(c.layer, folder)
	stays := err == nil && !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(here, target))
	switch {
	case inside && !stays:
		if target, err = filepath.Rel(folder, real); err != nil {
			return err
		}
	case !inside && c.moved:
		target = absolute
	}
	return os.Symlink(target, to)
}

func copyFile(to, below string, within *os.Root) error {
	in, err := within.OpenFile(below, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for ever
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file any more", in.Name())
	}
	if err != nil {
		return err
	}
	return create(to, in, info)
}

// writeKey sets or takes out one key. Envoy joins the names of folders and file with dots, so a key can lie as a.b, or
// as the file b in the folder a: it is changed where it lies.
func writeKey(folder string, p Pair) error {
	found, err := find(folder, p.Key)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("the key %s lies in the layer twice, as %s: Envoy takes either; remove one", p.Key,
			strings.Join(found, " and "))
	}
	file := filepath.Join(folder, p.Key)
	var before fs.FileInfo
	if len(found) == 1 {
		file = filepath.Join(folder, found[0])
		if before, err = os.Lstat(file); err != nil {
			return err
		}
		if before.Mode()&fs.ModeSymlink != 0 {
			before = nil // the link gives way to a file; its target stays as it is
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if p.Value == "" {
		return nil
	}
	if info, err := os.Lstat(file); err == nil && info.IsDir() {
		return fmt.Errorf("the key %s can't be a file: the layer holds a folder of that name", p.Key)
	}
	return create(file, strings.NewReader(p.Value+"\n"), before)
}

// find returns where a key lies below folder: the paths that are its name once their slashes are dots.
func find(folder, key string) ([]string, error) {
	var found []string
	if info, err := os.Lstat(filepath.Join(folder, key)); err == nil && !info.IsDir() {
		found = append(found, key)
	}
	for i, c := range key {
		if c != '.' {
			continue
		}
		below := filepath.Join(folder, key[:i])
		info, err := os.Lstat(below)
		if err != nil || info.Mode().IsRegular() || i == 0 {
			continue
		}
		rest, err := find(below, key[i+1:])
		if err != nil {
			return nil, err
		}
		if len(rest) > 0 && info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("the key %s lies behind the symbolic link %s, where nothing is changed", key, key[:i])
		}
		for _, r := range rest {
			found = append(found, filepath.Join(key[:i], r))
		}
	}
	return found, nil
}

// create writes a new file with the mode and owner of an earlier one; without one, everybody may read it.
func create(file string, content io.Reader, like fs.FileInfo) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if like != nil {
		mode = like.Mode().Perm()
	}
	_, err = io.Copy(f, content)
	// It is synchronized to be there after a power failure.
	return errors.Join(err, own(f, like), f.Chmod(mode), f.Sync(), f.Close())
}

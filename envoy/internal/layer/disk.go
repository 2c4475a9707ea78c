package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DiskLayer is a disk layer of Envoy's runtime (envoy.config.bootstrap.v3.RuntimeLayer.DiskLayer).
type DiskLayer struct {
	Root string // its symlink_root
	// Subdirectory is where its keys are below Root: Envoy's subdirectory, with the name of the service cluster behind
	// it if append_service_cluster is set. Empty means Root itself. nil means that nobody said, which is an error if
	// Root holds folders: they may be part of the keys' names, or the subdirectory.
	Subdirectory *string
}

const ofConfigMap = "%s is a mounted ConfigMap, which the kubelet replaces; change it with kubectl patch configmap"

// Check reports an error if Root cannot be a symlink_root whose link this package replaces.
func (d DiskLayer) Check() error {
	around, name := split(d.Root)
	root := around + name
	if name == "..data" {
		return fmt.Errorf(ofConfigMap, d.Root)
	}
	if d.Subdirectory != nil && *d.Subdirectory != "" && !filepath.IsLocal(*d.Subdirectory) {
		return fmt.Errorf("the subdirectory %q is no folder below %s", *d.Subdirectory, d.Root)
	}
	info, err := os.Lstat(root)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(around)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no folder %s; is this the symlink_root of Envoy's disk_layer? If so, make the "+
				"folder first",
				filepath.Clean(around))
		}
		return err
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%s is not a symbolic link; give the symlink_root of Envoy's disk_layer, a link that this "+
			"command makes and replaces", d.Root)
	}
	target, _ := os.Readlink(root)
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is a link to %s, where no folder is: is something not mounted? To begin with an empty "+
			"layer, remove the link", d.Root, target)
	}
	return nil
}

// Holds reports whether the key lies in the layer, or where that is not known.
func (d DiskLayer) Holds(key string) bool {
	folder, err := filepath.EvalSymlinks(d.Root)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	if d.Subdirectory != nil {
		folder = filepath.Join(folder, *d.Subdirectory)
	}
	found, err := find(folder, key)
	return err != nil || len(found) > 0
}

// Apply changes the layer, and makes it when there is none. Envoy reads a layer again only when another link is moved
// onto Root, so a whole new folder is made beside the old one, with the old one's files, links and modes, and one
// rename puts a link to it in Root's place. Whatever fails before the rename, the old layer is untouched; what fails
// after it is cleaning up, and loses nothing.
func (d DiskLayer) Apply(ctx context.Context, change Change) error {
	if err := d.Check(); err != nil {
		return err
	}
	around, name := split(d.Root)
	place, err := enter(around)
	if err != nil {
		return err
	}
	defer place.Close()
	unlock, err := lock(ctx, place)
	if err != nil {
		return err
	}
	defer unlock()
	since, _ := place.Lstat(name)
	old, err := d.open(place)
	if err != nil {
		return err
	}
	defer old.Close()
	place.sweep(name)
	folder, link := beside(name), beside(name)
	made, err := place.mkdir(folder)
	if err == nil {
		defer made.Close()
		err = d.write(made, old, change)
		if err == nil {
			err = place.relink(folder, link, name)
		}
		if err == nil {
			err = place.unmoved(name, since)
		}
		if err == nil {
			err = place.Rename(link, name)
		}
		if err != nil {
			_, _ = made.empty(), place.Remove(folder)
		}
	}
	if err != nil {
		place.sweep(name)
		return notWritten(d.Root, err)
	}
	if err := keep(d.Root, place); err != nil {
		return err
	}
	if before := filepath.Base(old.path); filepath.Dir(old.path) == place.path && isBeside(before, name) &&
		!place.used()[before] {
		_ = old.empty() // which was copied, whatever bears its name by now
		_ = place.Remove(before)
	}
	place.sweep(name)
	return nil
}

// Try makes the layer that Apply would make in a folder for temporary files.
func (d DiskLayer) Try(change Change) error {
	if err := d.Check(); err != nil {
		return err
	}
	around, _ := split(d.Root)
	place, err := enter(around)
	if err != nil {
		return err
	}
	defer place.Close()
	old, err := d.open(place)
	if err != nil {
		return err
	}
	defer old.Close()
	return try(func(made folder) error { return d.write(made, old, change) })
}

// open opens the folder behind Root, which is none if Root is missing.
func (d DiskLayer) open(place folder) (folder, error) {
	_, name := split(d.Root)
	path, err := filepath.EvalSymlinks(filepath.Join(place.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, nil
	}
	if err != nil {
		return folder{}, err
	}
	if around, err := filepath.Rel(path, place.path); err == nil && filepath.IsLocal(around) {
		return folder{}, fmt.Errorf("%s is a link to a folder that the link lies in, so it can't be copied there", d.Root)
	}
	if below, err := filepath.Rel(place.path, path); err == nil && filepath.IsLocal(below) {
		if made, inside, found := strings.Cut(below, "/"); found && unique.MatchString(made) {
			return folder{}, fmt.Errorf("%s leads to %s in %s, which this command made and removes with its next change: "+
				"move that folder out of there, and lead the link to it", d.Root, inside, filepath.Join(place.path, made))
		}
		return place.below(below)
	}
	if err := notOfAnother(place.path); err != nil {
		return folder{}, fmt.Errorf("%s leads elsewhere, to %s: %w", d.Root, path, err)
	}
	return openFolder(path)
}

// write fills a new folder: old's content with the change.
func (d DiskLayer) write(made, old folder, change Change) error {
	var err error
	if old.Root == nil {
		err = made.readableByAll(".")
	} else {
		err = copyFolder(made, old, ".", filepath.Dir(old.path) != filepath.Dir(made.path))
	}
	if err != nil {
		return err
	}
	keys, err := d.keyFolder(made, change)
	if err != nil {
		return err
	}
	for _, p := range change {
		if err := writeKey(made, keys, p); err != nil {
			return err
		}
	}
	if err := readable(filepath.Join(made.path, keys), ".", 0); err != nil {
		return err
	}
	return made.sync()
}

// keyFolder returns the folder in the layer that holds the keys.
func (d DiskLayer) keyFolder(layer folder, change Change) (string, error) {
	if d.Subdirectory != nil {
		keys := filepath.Clean(*d.Subdirectory)
		for f := keys; f != "."; f = filepath.Dir(f) {
			info, err := layer.Lstat(f)
			switch {
			case err == nil && info.Mode()&fs.ModeSymlink != 0:
				return "", fmt.Errorf("%s leads elsewhere by a symbolic link, where nothing is changed", *d.Subdirectory)
			case err == nil && !info.IsDir():
				return "", fmt.Errorf("%s in %s is no folder, so it is no subdirectory of Envoy's disk_layer", f, d.Root)
			}
		}
		return keys, mkdirAll(layer, keys)
	}
	entries, err := os.ReadDir(layer.path)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(layer.path, e.Name())); err == nil && info.IsDir() &&
			!partOfKey(layer.path, e.Name(), change) {
			return "", &AmbiguousError{Root: d.Root, Folder: e.Name()}
		}
	}
	return ".", nil
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
func mkdirAll(layer folder, path string) error {
	if info, err := layer.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := mkdirAll(layer, filepath.Dir(path)); err != nil {
		return err
	}
	return errors.Join(layer.Mkdir(path, 0o700), layer.readableByAll(path))
}

// copyFolder copies a folder with its modes and, as far as we may, its owners. Symbolic links are copied as links.
// Nothing outside of the layer is read, also where an owner puts a link in the place of a folder meanwhile.
func copyFolder(to, from folder, name string, moved bool) error {
	like, err := from.Open(name)
	if err != nil {
		return unread(from, err)
	}
	defer like.Close()
	entries, err := like.ReadDir(-1)
	if err != nil {
		return unread(from, err)
	}
	for _, e := range entries {
		name := filepath.Join(name, e.Name())
		switch {
		case e.IsDir():
			if err = to.Mkdir(name, 0o700); err == nil {
				err = copyFolder(to, from, name, moved)
			}
		case e.Type()&fs.ModeSymlink != 0:
			err = copyLink(to, from, name, moved)
		case e.Type().IsRegular():
			err = copyFile(to, from, name)
		default:
			err = fmt.Errorf("%s is neither a file, a folder nor a symbolic link", filepath.Join(from.path, name))
		}
		if err != nil {
			return err
		}
	}
	made, err := to.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(resemble(made, like, true), made.Close())
}

// copyLink copies a link that leads to the same place, or to the same place in the copy if it leads into the layer, by
// whatever name.
func copyLink(to, from folder, name string, moved bool) error {
	target, err := from.Readlink(name)
	if err != nil {
		return unread(from, err)
	}
	around := filepath.Dir(filepath.Join(from.path, name))
	absolute := target
	if !filepath.IsAbs(target) {
		absolute = filepath.Join(around, target)
	}
	real := absolute // by no other links, which may end with the old layer
	if parent, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil {
		real = filepath.Join(parent, filepath.Base(absolute))
	}
	below, err := filepath.Rel(from.path, real)
	inside := err == nil && filepath.IsLocal(below)
	stays := !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(filepath.Dir(name), target))
	switch {
	case inside && !stays:
		if target, err = filepath.Rel(around, real); err != nil {
			return err
		}
	case !inside && moved:
		target = absolute
	}
	return to.Symlink(target, name)
}

func copyFile(to, from folder, name string) error {
	in, err := from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for ever
	if err != nil {
		return unread(from, err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file any more", filepath.Join(from.path, name))
	}
	if err != nil {
		return err
	}
	return errors.Join(to.create(name, in, in, true), to.Chtimes(name, time.Time{}, info.ModTime()))
}

// writeKey sets or takes out one key. Envoy joins the names of folders and file with dots, so a key can lie as a.b, or
// as the file b in the folder a: it is changed where it lies.
func writeKey(layer folder, keys string, p Pair) error {
	found, err := find(filepath.Join(layer.path, keys), p.Key)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("the key %s lies in the layer twice, as %s: Envoy takes either; remove one", p.Key,
			strings.Join(found, " and "))
	}
	file := filepath.Join(keys, p.Key)
	var before *os.File
	if len(found) == 1 {
		file = filepath.Join(keys, found[0])
		info, err := layer.Lstat(file)
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() { // a link gives way to a file; its target stays as it is
			if before, err = layer.Open(file); err != nil {
				return err
			}
			defer before.Close()
		}
		if err := layer.Remove(file); err != nil {
			return err
		}
	}
	if p.Value == "" {
		return nil
	}
	if info, err := layer.Lstat(file); err == nil && info.IsDir() {
		return fmt.Errorf("the key %s can't be a file: the layer holds a folder of that name", p.Key)
	}
	return layer.create(file, strings.NewReader(p.Value+"\n"), before, true)
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

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/healthgate/healthgate/envoy/internal/layer"
)

// fileToWrite is a file with its text to come. A new one gets the mode of the file that it is a copy of, if of any.
type fileToWrite struct{ path, text, of string }

// writeTree is writeFiles that makes the folders, too.
func writeTree(files []fileToWrite) error {
	for _, f := range files {
		if folder, _ := filepath.Split(f.path); folder != "" {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
	}
	return writeFiles(files...)
}

// writeFiles makes or replaces files, each as a whole, and none where one of them can't be made.
func writeFiles(files ...fileToWrite) error {
	var ready []prepared
	for _, f := range files {
		p, err := f.prepare()
		if err != nil {
			for _, p := range ready {
				p.drop()
			}
			return err
		}
		ready = append(ready, p)
	}
	for i, p := range ready {
		if err := p.write(); err != nil {
			for _, p := range ready[i+1:] {
				p.drop()
			}
			for _, f := range files[:i] {
				err = fmt.Errorf("%w; %s is written already", err, f.path)
			}
			return err
		}
	}
	return nil
}

// readFile reads a file that need not be a regular one: a pipe from another command is, and a device may never end.
func readFile(name string) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readAll(name, in)
}

func readAll(name string, in io.Reader) ([]byte, error) {
	const limit = 32 << 20 // more than any has of what is read
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && len(text) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: syscall.EFBIG}
	}
	return text, err
}

type prepared struct {
	write func() error
	drop  func()
}

// prepare does what can fail. A link stays; the file that it leads to is replaced. What is no file, such as a pipe,
// gets the text.
func (f fileToWrite) prepare() (prepared, error) {
	path := f.path
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return prepared{}, fmt.Errorf("%s is a folder; give a file in it", path)
	case err == nil && info.Mode().IsRegular():
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return prepared{}, err
		}
	case err == nil:
		return prepared{func() error {
			to, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = to.WriteString(f.text)
			return errors.Join(err, to.Close())
		}, func() {}}, nil
	default:
		if to, notLink := os.Readlink(path); notLink == nil {
			return prepared{}, fmt.Errorf("%s is a link to %s: %w; mend it first", path, to, errors.Unwrap(err))
		}
		if folder, _ := filepath.Split(path); folder != "" && missing(folder) {
			return prepared{}, fmt.Errorf("%s can't be written: there is no folder %s; make it first", path, folder)
		}
	}
	r, err := layer.Replace(path, f.text, f.of)
	return prepared{r.Move, r.Drop}, err
}

package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// CheckValue refuses a text that is not YAML for Envoy, which reads the values of files and of its admin as such, and
// drops the whole of a disk layer, without a word, for a single file that it can't read. Its reader, yaml-cpp, takes
// less than the library here.
func CheckValue(text string) error {
	text = noBreaks.Replace(text)
	if strings.Contains(text, "\r") { // of which it is not known whether it ends a line for Envoy
		if err := CheckValue(strings.ReplaceAll(text, "\r", "\n")); err != nil {
			return err
		}
		text = strings.ReplaceAll(text, "\r", "x")
	}
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var root yaml.Node
		switch err := d.Decode(&root); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := plain(&root); err != nil {
			return err
		}
	}
}

// noBreaks puts letters in the place of what ends a line for the library alone.
var noBreaks = strings.NewReplacer("\r\n", "\n", "\u0085", "x", "\u2028", "x", "\u2029", "x")

// plain refuses what Envoy does not read of what is YAML: most tags and anchors, and, behind a question mark, the name
// of a field that is none.
func plain(n *yaml.Node) error {
	if n.Style&yaml.TaggedStyle != 0 || n.Anchor != "" {
		return fmt.Errorf("line %d has a tag or an anchor, which Envoy does not always read", n.Line)
	}
	for i, child := range n.Content {
		if isName := n.Kind == yaml.MappingNode && i%2 == 0; isName &&
			(child.Kind != yaml.ScalarNode || child.Value == "" && child.Style == 0) {
			return fmt.Errorf("line %d has a question mark or a colon that stands alone", child.Line)
		}
		if err := plain(child); err != nil {
			return err
		}
	}
	return nil
}

// maxDepth is how deep in folders Envoy reads keys.
const maxDepth = 15

// readable refuses a folder below that of the keys for which Envoy would drop the whole layer.
func readable(keys, folder string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s lies deeper in folders or links than %d, and Envoy drops the whole layer for it: move it away",
			folder, maxDepth)
	}
	entries, err := os.ReadDir(filepath.Join(keys, folder))
	for _, e := range entries {
		name := filepath.Join(folder, e.Name())
		info, err := os.Stat(filepath.Join(keys, name)) // Envoy follows links, too
		switch {
		case errors.Is(err, fs.ErrPermission): // Envoy may be another user
			err = nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
			err = fmt.Errorf("the link %s in the layer leads nowhere, and Envoy drops the whole layer for it: remove it first",
				name)
		case err != nil:
		case info.IsDir():
			err = readable(keys, name, depth+1)
		case info.Mode().IsRegular():
			err = readableFile(filepath.Join(keys, name), name)
		}
		if err != nil {
			return err
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func readableFile(path, name string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"),
		func(l string) bool { return strings.HasPrefix(l, "#") })
	if wrong := CheckValue(strings.Join(lines, "\n")); wrong != nil {
		return fmt.Errorf("the file %s in the layer is not YAML, and Envoy drops the whole layer for it: mend it first; %w",
			name, wrong)
	}
	return nil
}

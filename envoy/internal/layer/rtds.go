package layer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// runtimeType is the resource of an RTDS file, in an envoy.service.discovery.v3.DiscoveryResponse.
const runtimeType = "type.googleapis.com/envoy.service.runtime.v3.Runtime"

// RTDSName is the name of the resource in a file that is made anew; the configurations that healthgate renders ask
// for it.
const RTDSName = "healthgate"

// RTDSFile is a file that Envoy reads by RTDS.
type RTDSFile string

// Check reports an error if the file can't be changed.
func (f RTDSFile) Check() error {
	_, err := f.changed(nil)
	return err
}

// Holds reports whether the key is in the file, or the file can't be read.
func (f RTDSFile) Holds(key string) bool {
	before, err := f.changed(nil)
	after, _ := f.changed(Change{{Key: key}})
	return err != nil || !bytes.Equal(before, after)
}

// Try reports an error if Apply can't make a change.
func (f RTDSFile) Try(change Change) error {
	own, target, name, err := f.enter()
	if err != nil {
		return err
	}
	defer own.Close()
	defer target.Close()
	text, err := f.changed(change)
	if err != nil {
		return err
	}
	return try(func(made folder) error { return write(made, name, text, target, name) })
}

// write makes a new file of a text, like the one that bears a name in a folder, if there is one.
func write(in folder, made string, text []byte, from folder, name string) error {
	like, err := from.Open(name)
	if err == nil {
		defer like.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return unread(from, err)
	}
	return in.create(made, bytes.NewReader(text), like, true)
}

// enter opens the folder of the file, and that of the file behind it, if it is a link, and returns the latter's name.
func (f RTDSFile) enter() (own, target folder, name string, err error) {
	around, name := split(string(f))
	if own, err = enter(around); err != nil {
		return own, target, name, err
	}
	defer func() {
		if err != nil {
			own.Close()
		}
	}()
	path, err := filepath.EvalSymlinks(filepath.Join(own.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		path, err = filepath.Join(own.path, name), nil
	}
	if err == nil && filepath.Dir(path) != own.path {
		if err = notOfAnother(own.path); err != nil {
			err = fmt.Errorf("%s leads elsewhere, to %s: %w", f, path, err)
		}
	}
	if err == nil {
		target, err = enter(filepath.Dir(path))
	}
	return own, target, filepath.Base(path), err
}

// Apply changes the runtime keys in the file, and makes it when there is none. The file is replaced by a move, which is
// what Envoy watches for; its mode and owner stay. If it is a symbolic link, its target is replaced, and then the
// link by its like, so that Envoy notices.
func (f RTDSFile) Apply(ctx context.Context, change Change) error {
	own, target, name, err := f.enter()
	if err != nil {
		return err
	}
	defer own.Close()
	defer target.Close()
	unlock, err := lock(ctx, target)
	if err != nil {
		return err
	}
	defer unlock()
	_, link := split(string(f))
	since, _ := own.Lstat(link)
	targetSince, _ := target.Lstat(name)
	text, err := f.changed(change)
	if err != nil {
		return err
	}
	err = replace(string(f), target, name, func(next string) error {
		return cmp.Or(write(target, next, text, target, name), own.unmoved(link, since),
			target.unmoved(name, targetSince))
	})
	if err != nil {
		return err
	}
	if to, err := own.Readlink(link); err == nil {
		return replace(string(f), own, link, func(next string) error { return own.relink(to, next, link) })
	}
	return nil
}

const emptyRTDS = `resources:
- "@type": ` + runtimeType + `
  name: ` + RTDSName + `
  layer: {}
`

const emptyJSON = `{"resources": [{"@type": "` + runtimeType + `", "name": "` + RTDSName + `", "layer": {}}]}
`

// changed returns the file's content with the change. Comments in YAML stay.
func (f RTDSFile) changed(change Change) ([]byte, error) {
	file := string(f)
	extension := filepath.Ext(file)
	if extension != ".yaml" && extension != ".yml" && extension != ".json" {
		return nil, fmt.Errorf("%s: Envoy tells the format by the name, so it must end in .yaml, .yml or .json", file)
	}
	if folder, _ := split(file); !isFolder(folder) {
		return nil, fmt.Errorf("there is no folder %s; is this the path of Envoy's rtds_layer?",
			filepath.Clean(folder))
	}
	// Reading a pipe would wait for ever; a link without a target may lead to where nothing is mounted yet.
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", file)
	}
	switch target, readlink := os.Readlink(file); {
	case strings.HasPrefix(target, "..data/"):
		return nil, fmt.Errorf(ofConfigMap, file)
	case readlink == nil && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is a link to %s, which does not exist; make that first", file, target)
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = []byte(emptyRTDS)
		if extension == ".json" {
			text = []byte(emptyJSON)
		}
	case err != nil:
		return nil, err
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s: is empty; remove it, and it is made anew", file)
	}
	root, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	_, layer, err := findLayer(root)
	if err == nil {
		err = refused(root, false)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, p := range slices.Backward(change) {
		if err := set(layer, p); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	edited := []byte(edit(string(text), change, extension == ".json"))
	if now, err := parse(file, edited); err == nil && alike(now, root) {
		return edited, nil
	}
	// The key lies in an unusual way, or there is no layer yet: all is written anew.
	if extension == ".json" {
		var v any
		if err := root.Decode(&v); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return document.EscapeJSON([]byte(document.JSON(v, "  ") + "\n")), nil
	}
	out, err := document.Encode(root)
	if err != nil {
		return nil, err
	}
	if now, err := parse(file, []byte(out)); err != nil || !alike(now, root) {
		return nil, fmt.Errorf("%s: a change would break it, for the comments in it: write these on lines of their own", file)
	}
	return []byte(out), nil
}

// parse reads an RTDS file.
func parse(file string, text []byte) (*yaml.Node, error) {
	if filepath.Ext(file) == ".json" {
		var v any
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &v); err != nil {
			return nil, fmt.Errorf("%s: is not JSON: %w", file, err)
		}
	}
	if p := document.StrangeBreak(file, text); p != nil {
		return nil, p
	}
	all, err := document.All(file, text)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, fmt.Errorf("%s: is not a DiscoveryResponse with a resource of type %s", file, runtimeType)
	case len(all) > 1:
		return nil, fmt.Errorf("%s: has a second document, which Envoy does not read; remove it", file)
	}
	if err := plain(all[0]); err != nil {
		return nil, fmt.Errorf("%s: %w; write it without", file, err)
	}
	if line := findTwice(all[0]); line != 0 {
		return nil, fmt.Errorf("%s: line %d has a field for the second time; remove one of them", file, line)
	}
	return all[0].Content[0], nil
}

// alike reports whether two nodes are the same but for comments, style and the order of fields.
func alike(a, b *yaml.Node) bool {
	if a.Kind == yaml.MappingNode {
		a, b = sorted(a), sorted(b)
	}
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value &&
		slices.EqualFunc(a.Content, b.Content, alike)
}

func sorted(n *yaml.Node) *yaml.Node {
	fields := slices.Collect(slices.Chunk(n.Content, 2))
	slices.SortStableFunc(fields, func(a, b []*yaml.Node) int { return strings.Compare(a[0].Value, b[0].Value) })
	out := *n
	out.Content = slices.Concat(fields...)
	return &out
}

// findLayer returns the one resource that there may be, and its mapping of keys.
func findLayer(root *yaml.Node) (resource, layer *yaml.Node, err error) {
	resource = field(root, "resources")
	if resource != nil && resource.Kind == yaml.SequenceNode && len(resource.Content) > 1 {
		return nil, nil, fmt.Errorf("has %d resources, and Envoy reads a file with one alone", len(resource.Content))
	}
	if resource != nil && resource.Kind == yaml.SequenceNode && len(resource.Content) == 1 {
		resource = resource.Content[0] // Envoy takes one element without a list for a list of it
	}
	if resource != nil {
		if kind := field(resource, "@type"); kind == nil || kind.Value != runtimeType {
			resource = nil
		}
	}
	if resource == nil {
		return nil, nil, fmt.Errorf("has no resource of type %s", runtimeType)
	}
	if name := field(resource, "name"); name == nil || name.Kind == yaml.ScalarNode && name.Value == "" {
		return nil, nil, errors.New("its resource has no name, and Envoy refuses the whole file for it: give it the one in " +
			"Envoy's rtds_layer")
	}
	layer = field(resource, "layer")
	switch {
	case layer == nil:
		layer = &yaml.Node{Kind: yaml.MappingNode}
		resource.Content = append(resource.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "layer"}, layer)
	case layer.ShortTag() == "!!null":
		*layer = yaml.Node{Kind: yaml.MappingNode}
	case layer.Kind != yaml.MappingNode:
		return nil, nil, fmt.Errorf("the layer in line %d is not an object", layer.Line)
	}
	return resource, layer, nil
}

// noText are the fields around a layer that hold something else than a text.
var noText = []string{"resources", "layer", "canary", "control_plane", "controlPlane"}

// refused says why Envoy refuses the whole of a file: for something else in the place of a text, or for a value in the
// layer that is null or a list.
func refused(n *yaml.Node, inLayer bool) error {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
		return refused(n.Content[0], inLayer)
	}
	for field, v := range document.Fields(n) {
		name, tag := field.Value, v.ShortTag()
		switch {
		case inLayer && (name == "numerator" || name == "denominator"): // the object is a fraction, whatever it holds
			return nil
		case inLayer && (tag == "!!null" || tag == "!!seq"):
			return fmt.Errorf("the key %s has a value that Envoy refuses, and the whole file with it: take it out", name)
		case !inLayer && !slices.Contains(noText, name) && tag != "!!str" && tag != "!!timestamp": // a text for Envoy
			return fmt.Errorf("%s is not a text, and Envoy refuses the whole file for it: write it in quotes", name)
		}
		if err := refused(v, inLayer || name == "layer"); err != nil {
			return err
		}
	}
	return nil
}

func field(n *yaml.Node, name string) *yaml.Node {
	for field, value := range document.Fields(n) {
		if field.Value == name {
			return value
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// findTwice returns the line of the first field that its object has already; 0 if there is none. In JSON Envoy refuses
// the file for it.
func findTwice(n *yaml.Node) int {
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[child.Value] {
				return child.Line
			}
			seen[child.Value] = true
		} else if line := findTwice(child); line != 0 {
			return line
		}
	}
	return 0
}

func set(layer *yaml.Node, p Pair) error {
	if replaceKey(layer, p.Key, p.Value) || p.Value == "" {
		return nil
	}
	if field(layer, p.Key) != nil {
		return fmt.Errorf("the key %s can't have a value: the layer has an object of that name, with keys in it", p.Key)
	}
	// The tag makes it a text, in quotes if need be: 123 and true can be keys.
	name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: p.Key}
	layer.Content = slices.Insert(layer.Content, 0, name, scalar(p.Value))
	return nil
}

// hasKeys reports whether a value is an object with further keys for Envoy, and not one value: a fraction, or an object
// without anything.
func hasKeys(v *yaml.Node) bool {
	return v.Kind == yaml.MappingNode && len(v.Content) > 0 && field(v, "numerator") == nil &&
		field(v, "denominator") == nil
}

// replaceKey sets a key where it lies, as a.b or as b in an object a, which is the same for Envoy, and reports
// whether it lies there. What has it a second time is taken out, and without a value all, with the objects that held
// nothing else.
func replaceKey(n *yaml.Node, key, value string) (found bool) {
	var kept []*yaml.Node
	for name, v := range document.Fields(n) {
		if name.Value == key && !hasKeys(v) {
			if found || value == "" {
				found = true
				continue
			}
			comment := v.LineComment
			found, v = true, scalar(value)
			v.LineComment = comment
		} else if rest, below := strings.CutPrefix(key, name.Value+"."); below && hasKeys(v) {
			set := value
			if found {
				set = ""
			}
			found = replaceKey(v, rest, set) || found
			if len(v.Content) == 0 {
				continue
			}
		}
		kept = append(kept, name, v)
	}
	n.Content = kept
	return found
}

// scalar writes truth values and numbers as such, and everything else as text: Envoy shows six digits of a number, and
// none that lead with 0.
func scalar(value string) *yaml.Node {
	if n, err := strconv.ParseUint(value, 10, 16); err == nil && strconv.FormatUint(n, 10) == value ||
		value == "true" || value == "false" {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value}
}

package reach

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Layer is a layer of Envoy's runtime.
type Layer struct {
	Name        string
	Kind        Kind
	SymlinkRoot string // of a disk layer
	Folder      string // where a disk layer's keys are below SymlinkRoot, by subdirectory and append_service_cluster
	File        string // that an RTDS layer reads; empty when it is a server's
	Resource    string // of an RTDS layer, the one that it takes of what it reads
	Watched     string // the folder into which something has to be moved, if the file alone is not watched
}

// layers returns the layers of runtime. The node knows its cluster also by a flag of Envoy's.
func layers(bootstrap any, node config.Node) (out []Layer) {
	for _, l := range list(bootstrap, "layered_runtime", "layers") {
		layer := Layer{Name: text(l, "name")}
		for _, kind := range []Kind{Static, Disk, RTDS, Admin} {
			if dump.At(l, string(kind)) != nil {
				layer.Kind = kind
			}
		}
		layer.SymlinkRoot, layer.Resource = text(l, "disk_layer", "symlink_root"), text(l, "rtds_layer", "name")
		// Envoy joins them with a slash.
		layer.Folder = path.Join(strings.TrimLeft(text(l, "disk_layer", "subdirectory"), "/"))
		if dump.At(l, "disk_layer", "append_service_cluster") == true {
			layer.Folder = path.Join(layer.Folder, cmp.Or(node.Cluster, text(bootstrap, "node", "cluster")))
		}
		layer.File = text(l, "rtds_layer", "rtds_config", "path_config_source", "path") +
			text(l, "rtds_layer", "rtds_config", "path")
		layer.Watched = text(l, "rtds_layer", "rtds_config", "path_config_source", "watched_directory", "path")
		out = append(out, layer)
	}
	return out
}

// Of returns the layers of a kind.
func (e *Envoy) Of(kind Kind) []Layer {
	return slices.DeleteFunc(slices.Clone(e.Layers), func(l Layer) bool { return l.Kind != kind })
}

// At reports whether a disk layer's symlink_root, or an RTDS layer's file, is a path that Canonical returned. One that
// is relative is so to Envoy's working directory.
func (l Layer) At(path string) bool {
	root := l.SymlinkRoot + l.File
	if filepath.IsAbs(root) {
		return Canonical(root) == path
	}
	return root != "" && strings.HasSuffix(path, "/"+filepath.Clean(root))
}

// Source says what the layer reads; "" for one that reads nothing, or asks a server.
func (l Layer) Source() string {
	source := path.Join(l.SymlinkRoot+l.File, l.Folder)
	if l.File != "" && l.Resource != "" {
		source = "the resource " + l.Resource + " of " + source
	}
	if l.Watched != "" && Canonical(l.Watched) != filepath.Dir(Canonical(l.File)) {
		source += " once something is moved into " + l.Watched
	}
	return source
}

// Canonical returns an absolute path, whose folder is reached by no link if it is there.
func Canonical(path string) string {
	if here, err := os.Getwd(); err == nil && !filepath.IsAbs(path) {
		path = here + "/" + path
	}
	around, name := filepath.Split(strings.TrimRight(path, "/"))
	if folder, err := filepath.EvalSymlinks(around); err == nil {
		return filepath.Join(folder, name)
	}
	return filepath.Clean(path)
}

package dist

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// pluginFile is where Istio looks for a plugin in an image (istio.io/istio/pkg/wasm, extractWasmPluginBinary).
const pluginFile = "plugin.wasm"

// refName is the annotation by which tools choose an image of a layout (OCI image specification, annotations).
const refName = "org.opencontainers.image.ref.name"

// writeImages writes an OCI image layout: an image of each build of the plugin, and one of the command for each
// architecture of Linux.
func writeImages(folder string, b *built, commands []command) error {
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	named := func(name string) layout.Option { return layout.WithAnnotations(map[string]string{refName: name}) }
	labels := map[string]string{
		"org.opencontainers.image.version":  b.version,
		"org.opencontainers.image.revision": b.commit,
		"org.opencontainers.image.source":   "https://" + module,
		"org.opencontainers.image.licenses": license,
	}
	for _, plugin := range []struct{ name, path string }{{"standard", b.plugin}, {"tinygo", b.small}} {
		// One layer of type application/vnd.oci.image.layer.v1.tar+gzip that holds plugin.wasm is what Istio calls the
		// "compat" variant of a Wasm image.
		img, err := image(&v1.ConfigFile{
			OS: "wasi", Architecture: "wasm", Config: v1.Config{Labels: labels},
		}, inImage{plugin.path, pluginFile, 0o644})
		if err != nil {
			return err
		}
		if err := to.AppendImage(img, named(plugin.name)); err != nil {
			return err
		}
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, c := range commands {
		if c.os != "linux" {
			continue
		}
		img, err := image(&v1.ConfigFile{OS: c.os, Architecture: c.arch, Config: v1.Config{
			Entrypoint: []string{"/healthgate"},
			User:       "65532:65532", // nobody in particular, and not root
			Labels:     labels,
		}}, inImage{c.path, "healthgate", 0o755}, inImage{b.small, pluginFile, 0o644}) // a pod takes both from one
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: c.os, Architecture: c.arch}},
		})
	}
	return to.AppendIndex(index, named("command"))
}

type inImage struct {
	path, name string
	mode       int64
}

// image returns an OCI image with files in one layer. No time is in it.
func image(config *v1.ConfigFile, files ...inImage) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		content, err := os.ReadFile(f.path)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: f.name, Size: int64(len(content)), Mode: f.mode, ModTime: time.Unix(0, 0),
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	config.RootFS.Type = "layers"
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, config)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(base, layer)
}

package main

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

// build is one way the plugin was built.
type build struct {
	ref  string // its name in the image layout
	path string
	name string // its file's name in the release
}

// pluginFile is where Istio looks for a plugin in an image (istio.io/istio/pkg/wasm, extractWasmPluginBinary).
const pluginFile = "plugin.wasm"

// refName is the annotation by which tools choose an image of a layout (OCI image specification, annotations).
const refName = "org.opencontainers.image.ref.name"

// writeLayout writes an OCI image layout with an image of each build.
func writeLayout(folder string, builds []build) error {
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	for _, b := range builds {
		wasm, err := os.ReadFile(b.path)
		if err != nil {
			return err
		}
		img, err := image(wasm)
		if err != nil {
			return err
		}
		if err := to.AppendImage(img, layout.WithAnnotations(map[string]string{refName: b.ref})); err != nil {
			return err
		}
	}
	return nil
}

// image returns the plugin as Istio's "compat" variant of a Wasm image has it: one layer of type
// application/vnd.oci.image.layer.v1.tar+gzip that holds plugin.wasm. No time is in it.
func image(wasm []byte) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: pluginFile, Size: int64(len(wasm)), Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(wasm); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{OS: "wasi", Architecture: "wasm", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(base, layer)
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// wasm stands for a build of the plugin.
var wasm = append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Repeat([]byte("healthgate"), 100_000)...)

func release(t *testing.T, out string) {
	t.Helper()
	plugin := filepath.Join(t.TempDir(), "built.wasm")
	if err := os.WriteFile(plugin, wasm, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(out, plugin, plugin); err != nil {
		t.Fatal(err)
	}
}

func TestDist(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	t.Chdir("../../..")
	release(t, out)
	for _, file := range []string{"healthgate.wasm", "healthgate-tinygo.wasm", "oci/oci-layout", "oci/index.json", "examples/bootstrap.yaml",
		"examples/healthgate.yaml", "examples/healthgate.schema.json", "examples/disk-layer", "examples/istio-sidecar/envoyfilter.yaml",
		"examples/istio-gateway/wasmplugin.yaml"} {
		if info, err := os.Stat(filepath.Join(out, file)); err != nil || info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%s: %v", file, err)
		}
	}
	check := exec.Command("sha256sum", "--strict", "-c", sumsFile)
	check.Dir = out
	text, err := check.CombinedOutput()
	files := 0
	if walkErr := filepath.WalkDir(out, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}); walkErr != nil {
		t.Fatal(walkErr)
	}
	if err != nil || strings.Count(string(text), ": OK\n") != files-1 {
		t.Errorf("%d files: %v\n%s", files, err, text)
	}

	again := filepath.Join(t.TempDir(), "elsewhere", "dist")
	if err := os.MkdirAll(filepath.Dir(again), 0o755); err != nil {
		t.Fatal(err)
	}
	release(t, again)
	if diff, err := exec.Command("diff", "-r", out, again).CombinedOutput(); err != nil {
		t.Errorf("made again it is another: %v\n%s", err, diff)
	}

	// A failure leaves what was there.
	if err := run(out, "missing.wasm", ""); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if diff, err := exec.Command("diff", "-r", out, again).CombinedOutput(); err != nil {
		t.Errorf("a failure changed it: %v\n%s", err, diff)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// Istio's rules find the plugin in each image.
func TestImageAsIstioReadsIt(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	t.Chdir("../../..")
	release(t, out)
	index, err := layout.ImageIndexFromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	for _, m := range manifest.Manifests {
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := extract(img)
		if err != nil || !bytes.Equal(got, wasm) {
			t.Errorf("%s: %d bytes, %v", m.Annotations[refName], len(got), err)
		}
	}
}

// extract takes the plugin out of an image as istio.io/istio/pkg/wasm does: an OCI image whose last layer is
// a compressed archive with plugin.wasm.
func extract(img v1.Image) ([]byte, error) {
	manifest, err := img.Manifest()
	if err != nil || manifest.MediaType == types.DockerManifestSchema2 {
		return nil, fmt.Errorf("manifest %+v: %w", manifest, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		return nil, fmt.Errorf("%d layers: %w", len(layers), err)
	}
	layer := layers[len(layers)-1]
	if media, err := layer.MediaType(); err != nil || media != types.OCILayer {
		return nil, fmt.Errorf("layer of type %s: %w", media, err)
	}
	compressed, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer compressed.Close()
	unzipped, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err != nil {
			return nil, err
		}
		if filepath.Base(header.Name) == "plugin.wasm" {
			return io.ReadAll(archive)
		}
	}
}

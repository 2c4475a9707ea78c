package dist

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// wasm stands for a build of the plugin.
var wasm = append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Repeat([]byte("healthgate"), 100_000)...)

// forRelease returns what a release is made of: the command for the platform of servers, and in the place of those for
// others something small that builds in no time. The working directory becomes the repository's root.
func forRelease(t *testing.T) *built {
	t.Helper()
	t.Chdir("../../..")
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	must.Do(t, os.WriteFile(file("built.wasm"), wasm, 0o755))
	must.Do(t, os.WriteFile(file("small.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	b := &built{
		version: "v1.2.3", commit: strings.Repeat("0123456789", 4), plugin: file("built.wasm"), small: file("built.wasm"),
		tinygo: "tinygo version 0.41.1 linux/amd64 (using go version go1.25.14 and LLVM version 19.1.7)",
	}
	for _, target := range []struct{ os, arch, source string }{
		{"linux", "amd64", "./envoy/cmd/healthgate"},
		{"linux", "arm64", file("small.go")},
		{"darwin", "arm64", file("small.go")},
	} {
		binary := file(target.os + target.arch)
		// Not as make dist builds it, with -trimpath and without cgo: everything would be compiled once more.
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, target.source)
		build.Env = append(os.Environ(), "GOOS="+target.os, "GOARCH="+target.arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b.commands = append(b.commands, binary)
	}
	return b
}

// modes returns the mode of each file and folder under a folder.
func modes(t *testing.T, folder string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	must.Do(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		found[filepath.ToSlash(name)] = info.Mode()
		return err
	}))
	return found
}

func TestDist(t *testing.T) {
	b := forRelease(t)
	out := filepath.Join(t.TempDir(), "dist")
	must.Do(t, run(out, b))
	t.Run("images", func(t *testing.T) { testImages(t, b, out) })
	t.Run("SBOM", func(t *testing.T) { testSBOM(t, b, out) })
	t.Run("files", func(t *testing.T) { testFiles(t, b, out) })
}

// testFiles looks at the files, their modes and sums, and makes the release again.
func testFiles(t *testing.T, b *built, out string) {
	t.Helper()
	found := modes(t, out)
	runs := []string{"bin/healthgate-linux-amd64", "bin/healthgate-linux-arm64", "bin/healthgate-darwin-arm64"}
	for name, mode := range found {
		want := fs.FileMode(0o644)
		if slices.Contains(runs, name) {
			want = 0o755
		} else if mode.IsDir() {
			want = fs.ModeDir | 0o755
		}
		if mode != want {
			t.Errorf("%s has mode %v, want %v", name, mode, want)
		}
	}
	testPage(t, found)

	check := exec.Command("sha256sum", "--strict", "-c", sumsFile)
	check.Dir = out
	text, err := check.CombinedOutput()
	files := 0
	for _, mode := range found {
		if mode.IsRegular() {
			files++
		}
	}
	if err != nil || strings.Count(string(text), ": OK\n") != files-1 {
		t.Errorf("%d files: %v\n%s", files, err, text)
	}

	again := filepath.Join(t.TempDir(), "elsewhere", "dist")
	must.Do(t, os.MkdirAll(filepath.Dir(again), 0o755))
	umask := syscall.Umask(0o077) // as some have it who make releases
	err = run(again, b)
	syscall.Umask(umask)
	must.Do(t, err)
	if diff, err := exec.Command("diff", "-r", out, again).CombinedOutput(); err != nil {
		t.Errorf("made again it is another: %v\n%s", err, diff)
	}
	if anew := modes(t, again); !maps.Equal(anew, found) {
		t.Errorf("made with another umask it has the modes %v, want %v", anew, found)
	}

	// A failure leaves what was there.
	b.plugin = "missing.wasm"
	if err := run(out, b); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if diff, err := exec.Command("diff", "-r", out, again).CombinedOutput(); err != nil {
		t.Errorf("a failure changed it: %v\n%s", err, diff)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// testPage compares a release with what docs/release.md says is in it.
func testPage(t *testing.T, found map[string]fs.FileMode) {
	t.Helper()
	page := must.Get(os.ReadFile("docs/release.md"))(t)
	table, _, _ := strings.Cut(string(page), "\n## ")
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		explained[row[1]] = true
		if _, is := found[strings.TrimSuffix(row[1], "/")]; !is {
			t.Errorf("docs/release.md names %s, which is not in a release", row[1])
		}
	}
	for name, mode := range found {
		if top, _, below := strings.Cut(name, "/"); !mode.IsDir() && !explained[name] && !(below && explained[top+"/"]) {
			t.Errorf("docs/release.md does not say what %s is", name)
		}
	}
}

func testImages(t *testing.T, b *built, out string) {
	t.Helper()
	index := must.Get(layout.ImageIndexFromPath(filepath.Join(out, "oci")))(t)
	manifest, err := index.IndexManifest()
	must.Do(t, err)
	images := map[string]v1.Hash{}
	for _, m := range manifest.Manifests {
		images[m.Annotations[refName]] = m.Digest
	}
	page := must.Get(os.ReadFile("docs/release.md"))(t)
	for _, name := range regexp.MustCompile("`oci:build/dist/oci:(\\w+)`").FindAllStringSubmatch(string(page), -1) {
		if _, is := images[name[1]]; !is || len(images) != 3 || len(manifest.Manifests) != 3 {
			t.Fatalf("docs/release.md names %s, the images are %+v", name[1], manifest)
		}
	}

	// Istio's rules find the plugin in each image of it.
	for _, name := range []string{"standard", "tinygo"} {
		img := must.Get(index.Image(images[name]))(t)
		if got, _, err := extract(img, "plugin.wasm"); err != nil || !bytes.Equal(got, wasm) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}

	// The command's image is one for each architecture of Linux, runs it without a shell, and not as root.
	index, err = index.ImageIndex(images["command"])
	must.Do(t, err)
	manifest, err = index.IndexManifest()
	must.Do(t, err)
	if manifest.MediaType != types.OCIImageIndex || len(manifest.Manifests) != 2 {
		t.Fatalf("%+v", manifest)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		m := manifest.Manifests[i]
		img := must.Get(index.Image(m.Digest))(t)
		config, err := img.ConfigFile()
		must.Do(t, err)
		if m.Platform.String() != "linux/"+arch || config.OS != "linux" || config.Architecture != arch {
			t.Errorf("image %d is for %v, %s/%s", i, m.Platform, config.OS, config.Architecture)
		}
		if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/healthgate"}) ||
			config.Config.Labels["org.opencontainers.image.version"] != b.version ||
			config.Config.Labels["org.opencontainers.image.revision"] != b.commit || !config.Created.IsZero() {
			t.Errorf("%s: %+v", arch, config)
		}
		want := must.Get(os.ReadFile(b.commands[i]))(t)
		if got, mode, err := extract(img, "healthgate"); err != nil || !bytes.Equal(got, want) || mode != 0o755 {
			t.Errorf("%s: %d bytes, mode %o, %v", arch, len(got), mode, err)
		}
		if got, mode, err := extract(img, "plugin.wasm"); err != nil || !bytes.Equal(got, wasm) || mode != 0o644 {
			t.Errorf("%s: the plugin: %d bytes, mode %o, %v", arch, len(got), mode, err)
		}
	}
}

// testSBOM holds the software bill of materials to CycloneDX's schema, and to what is in the binaries.
func testSBOM(t *testing.T, b *built, out string) {
	t.Helper()
	text := must.Get(os.ReadFile(filepath.Join(out, sbomFile)))(t)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must.Do(t, err)
	if err := cycloneDX(t).Validate(document); err != nil {
		t.Error(err)
	}

	var bom struct {
		Components []struct {
			Ref    string `json:"bom-ref"`
			Hashes []struct{ Content string }
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	must.Do(t, json.Unmarshal(text, &bom))
	const sdk = "pkg:golang/github.com/tetratelabs/proxy-wasm-go-sdk@v0.24.0"
	std := "pkg:golang/stdlib@" + strings.TrimPrefix(runtime.Version(), "go")
	inCommand := []string{std}
	info := must.Get(buildinfo.ReadFile(b.commands[0]))(t)
	for _, dep := range info.Deps {
		inCommand = append(inCommand, "pkg:golang/"+dep.Path+"@"+dep.Version)
	}
	slices.Sort(inCommand)
	files := []string{"bin/healthgate-darwin-arm64", "bin/healthgate-linux-amd64", "bin/healthgate-linux-arm64",
		"healthgate-tinygo.wasm", "healthgate.wasm"}
	want := map[string][]string{
		"pkg:golang/github.com/healthgate/healthgate@v1.2.3": files,
		"healthgate.wasm":             {sdk, std},
		"healthgate-tinygo.wasm":      {sdk, "pkg:golang/github.com/tinygo-org/tinygo@v0.41.1", "pkg:golang/stdlib@1.25.14"},
		"bin/healthgate-linux-amd64":  inCommand,
		"bin/healthgate-linux-arm64":  {std},
		"bin/healthgate-darwin-arm64": {std},
	}
	got := map[string][]string{}
	for _, d := range bom.Dependencies {
		got[d.Ref] = d.DependsOn
	}
	if !maps.EqualFunc(got, want, slices.Equal) || len(inCommand) < 3 {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	sums := must.Get(os.ReadFile(filepath.Join(out, sumsFile)))(t)
	hashed := 0
	for _, c := range bom.Components {
		if len(c.Hashes) == 1 && strings.Contains(string(sums), c.Hashes[0].Content+"  "+c.Ref+"\n") {
			hashed++
		}
	}
	if hashed != len(files) {
		t.Errorf("%d files have the sum that %s has for them, want %d", hashed, sumsFile, len(files))
	}
}

// cycloneDX is the schema of CycloneDX 1.6, which the library brings.
func cycloneDX(t *testing.T) *jsonschema.Schema {
	t.Helper()
	folder := must.Get(exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output())(t)
	c := jsonschema.NewCompiler()
	const at = "http://cyclonedx.org/schema/"
	for name, file := range map[string]string{
		"bom-1.6.schema.json":  "bom-1.6.schema.json",
		"spdx.schema.json":     "spdx.schema.json",
		"jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		text := must.Get(os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "schema", file)))(t)
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		must.Do(t, err)
		must.Do(t, c.AddResource(at+name, schema))
	}
	schema := must.Get(c.Compile(at + "bom-1.6.schema.json"))(t)
	return schema
}

// extract takes a file out of an image as istio.io/istio/pkg/wasm does: an OCI image whose last layer is a compressed
// archive.
func extract(img v1.Image, name string) (content []byte, mode int64, err error) {
	manifest, err := img.Manifest()
	if err != nil || manifest.MediaType == types.DockerManifestSchema2 {
		return nil, 0, fmt.Errorf("manifest %+v: %w", manifest, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		return nil, 0, fmt.Errorf("%d layers: %w", len(layers), err)
	}
	layer := layers[len(layers)-1]
	if media, err := layer.MediaType(); err != nil || media != types.OCILayer {
		return nil, 0, fmt.Errorf("layer of type %s: %w", media, err)
	}
	compressed, err := layer.Compressed()
	if err != nil {
		return nil, 0, err
	}
	defer compressed.Close()
	unzipped, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, 0, err
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err != nil {
			return nil, 0, err
		}
		if filepath.Base(header.Name) == name {
			content, err := io.ReadAll(archive)
			return content, header.Mode, err
		}
	}
}

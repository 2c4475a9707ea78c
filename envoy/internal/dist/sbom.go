package dist

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const (
	sbomFile = "healthgate.cdx.json"
	module   = "github.com/healthgate/healthgate"
	license  = "Apache-2.0"
)

// writeSBOM writes the software bill of materials: each file that was built, and the Go modules and the standard
// library that are in it. A command tells what it was made of. The plugin, which is WebAssembly, does not: Go's list of
// its packages does. No time and no random number is in it.
func writeSBOM(folder string, b *built, plugin, small file, commands []command) error {
	tinygo := regexp.MustCompile(`^tinygo version (\S+) .*\(using go version (\S+) `).FindStringSubmatch(b.tinygo)
	if tinygo == nil {
		return fmt.Errorf("%q is not what tinygo version says", b.tinygo)
	}
	inPlugin, err := modulesOf("./filter")
	if err != nil {
		return err
	}
	inSmall, err := modulesOf("-tags=tinygo,custommalloc", "./filter")
	if err != nil {
		return err
	}
	inPlugin = append(inPlugin, standardLibrary(runtime.Version())) // the Go that runs this has built it
	inSmall = append(inSmall, standardLibrary(tinygo[2]), library("github.com/tinygo-org/tinygo", "v"+tinygo[1]))

	main := library(module, b.version)
	main.Type = cdx.ComponentTypeApplication
	main.Licenses = &cdx.Licenses{{License: &cdx.License{ID: license}}}
	s := sbom{main: main}
	if err := s.add(plugin, inPlugin); err != nil {
		return err
	}
	if err := s.add(small, inSmall); err != nil {
		return err
	}
	for _, c := range commands {
		in := []cdx.Component{standardLibrary(c.info.GoVersion)}
		for _, dep := range c.info.Deps {
			in = append(in, library(dep.Path, dep.Version))
		}
		if err := s.add(c.file, in); err != nil {
			return err
		}
	}
	text, err := s.encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, sbomFile), text, 0o644)
}

// modulesOf returns the modules, other than this one, whose packages a build for WebAssembly has.
func modulesOf(args ...string) ([]cdx.Component, error) {
	const format = "{{with .Module}}{{.Path}} {{.Version}}{{end}}"
	list := exec.Command("go", append([]string{"list", "-deps", "-f", format}, args...)...)
	list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", list, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	var modules []cdx.Component
	for _, line := range slices.Compact(lines) {
		if path, version, _ := strings.Cut(line, " "); path != module {
			modules = append(modules, library(path, version))
		}
	}
	return modules, nil
}

func standardLibrary(goVersion string) cdx.Component {
	return library("stdlib", strings.TrimPrefix(goVersion, "go"))
}

// library is a Go module, named as scanners of vulnerabilities look for it: by its package URL.
func library(path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + url.PathEscape(version)
	return cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
}

// sbom is what a release consists of.
type sbom struct {
	main         cdx.Component
	files        []cdx.Component
	libraries    []cdx.Component
	dependencies []cdx.Dependency // of the files
}

// add takes a file and what is in it.
func (s *sbom) add(f file, in []cdx.Component) error {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	s.files = append(s.files, cdx.Component{
		BOMRef: f.name, Type: cdx.ComponentTypeFile, Name: f.name, Version: s.main.Version,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(content))}},
	})
	s.libraries = append(s.libraries, in...)
	s.dependencies = append(s.dependencies, depends(f.name, in))
	return nil
}

func depends(ref string, on []cdx.Component) cdx.Dependency {
	var refs []string
	for i := range on {
		refs = append(refs, on[i].BOMRef)
	}
	slices.Sort(refs)
	return cdx.Dependency{Ref: ref, Dependencies: &refs}
}

// encode writes it as CycloneDX 1.6, which more programs read than the newest.
func (s *sbom) encode() ([]byte, error) {
	byRef := func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) }
	slices.SortFunc(s.libraries, byRef)
	libraries := slices.CompactFunc(s.libraries, func(a, b cdx.Component) bool { return byRef(a, b) == 0 })
	components := append(slices.Clone(s.files), libraries...)
	dependencies := append([]cdx.Dependency{depends(s.main.BOMRef, s.files)}, s.dependencies...)

	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &s.main}
	bom.Components = &components
	bom.Dependencies = &dependencies
	var out bytes.Buffer
	encoder := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

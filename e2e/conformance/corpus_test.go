package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// group is the cases about one subject: a file of testdata.
type group struct {
	name  string
	cases []*Case
}

// groups reads testdata. No two cases have the same name.
func groups(t testing.TB) (all []*group) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of cases, %v", len(files), err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text := must.Get(os.ReadFile(file))(t)
		cases, err := read(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			if names[c.slug()] {
				t.Fatalf("%s: there is another case %q", file, c.Name)
			}
			names[c.slug()] = true
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		all = append(all, &group{strings.ReplaceAll(name, "-", " "), cases})
	}
	return all
}

// corpus is all cases.
func corpus(t testing.TB) (all []*Case) {
	t.Helper()
	for _, g := range groups(t) {
		all = slices.Concat(all, g.cases)
	}
	return all
}

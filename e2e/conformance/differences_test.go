package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// difference is something in which hostsim is not Envoy. There is no other way to allow a case to differ.
type difference struct {
	sim   []string
	envoy []string // the lines that stand for those of hostsim
}

// differences are those that hostsim's DIFFERENCES.md lists, by the names of their cases.
var differences = sync.OnceValue(func() map[string]*difference {
	text, err := os.ReadFile(filepath.Join(envoytest.Root, "hostsim", "DIFFERENCES.md"))
	orPanic(err)
	out := map[string]*difference{}
	var names []string
	begun := false // the lines of these cases
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "## "); ok {
			if begun {
				names, begun = nil, false
			}
			names = append(names, title)
		}
		sim, isSim := strings.CutPrefix(line, "- hostsim  ")
		envoy, isEnvoy := strings.CutPrefix(line, "+ Envoy    ")
		if !isSim && !isEnvoy {
			continue
		}
		begun = true
		for _, name := range names {
			if out[name] == nil {
				out[name] = &difference{}
			}
			if isSim {
				out[name].sim = append(out[name].sim, sim)
			} else {
				out[name].envoy = append(out[name].envoy, envoy)
			}
		}
	}
	return out
})

// verdict is what a comparison came to.
type verdict int

const (
	identical verdict = iota
	asListed
	different
)

// judge compares the lines that hostsim and Envoy showed in a case. A case with a listed difference must differ in its
// lines, and in no other.
func judge(name string, sim, envoy []string) (v verdict, problem string) {
	d := differences()[name]
	switch {
	case slices.Equal(sim, envoy) && d == nil:
		return identical, ""
	case slices.Equal(sim, envoy):
		return different, name + " no longer differs: take it from the list of differences"
	case d == nil:
		return different, name + "\n" + diff(sim, envoy)
	}
	var only struct{ sim, envoy []string }
	for _, e := range edits(sim, envoy) {
		switch e.side {
		case onlySim:
			only.sim = append(only.sim, e.text)
		case onlyEnvoy:
			only.envoy = append(only.envoy, e.text)
		}
	}
	if slices.Equal(only.sim, d.sim) && slices.Equal(only.envoy, d.envoy) {
		return asListed, ""
	}
	return different, name + " differs, but not as it is listed\n" + diff(sim, envoy)
}

func TestJudge(t *testing.T) {
	const listed = "reply and continue request in tick while request_body pauses"
	d := differences()[listed]
	sim := slices.Concat([]string{"a"}, d.sim, []string{"z"})
	envoy := slices.Concat([]string{"a"}, d.envoy, []string{"z"})
	for _, c := range []struct {
		what       string
		name       string
		sim, envoy []string
		want       verdict
		problem    string
	}{
		{"the same", "some case", sim, sim, identical, ""},
		{"another line", "some case", sim, envoy, different, "+envoy"},
		{"as listed", listed, sim, envoy, asListed, ""},
		{"a listed line that is something else", listed, sim, []string{"a", "x", "z"}, different, "not as it is listed"},
		{"a line that is not listed", listed, sim, slices.Concat(envoy, envoy), different, "not as it is listed"},
		{"listed, and no longer different", listed, sim, sim, different, "no longer differs"},
	} {
		t.Run(c.what, func(t *testing.T) {
			v, problem := judge(c.name, c.sim, c.envoy)
			if v != c.want || !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
				t.Errorf("%v %q", v, problem)
			}
		})
	}
}

// TestDifferencesHaveCases is about a case that was renamed.
func TestDifferencesHaveCases(t *testing.T) {
	cases := corpus(t)
	for name := range differences() {
		if !slices.ContainsFunc(cases, func(c *Case) bool { return c.Name == name }) {
			t.Errorf("there is no case %q", name)
		}
	}
}

// edit is a line of two runs next to each other.
type edit struct {
	side side
	text string
}

type side int

const (
	onBoth side = iota
	onlySim
	onlyEnvoy
)

// edits is the shortest way from the lines of one run to those of the other.
func edits(sim, envoy []string) []edit {
	// The longest common subsequence, from the end.
	length := make([][]int, len(sim)+1)
	for i := range length {
		length[i] = make([]int, len(envoy)+1)
	}
	for i := len(sim) - 1; i >= 0; i-- {
		for j := len(envoy) - 1; j >= 0; j-- {
			if sim[i] == envoy[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(sim) || j < len(envoy) {
		switch {
		case i < len(sim) && j < len(envoy) && sim[i] == envoy[j]:
			out = append(out, edit{onBoth, sim[i]})
			i, j = i+1, j+1
		case j == len(envoy) || i < len(sim) && length[i+1][j] >= length[i][j+1]:
			out = append(out, edit{onlySim, sim[i]})
			i++
		default:
			out = append(out, edit{onlyEnvoy, envoy[j]})
			j++
		}
	}
	return out
}

// diff is the lines of two runs next to each other: "-" is what only hostsim showed, "+" what only Envoy did.
func diff(sim, envoy []string) string {
	marks := map[side]string{onBoth: "  ", onlySim: "-hostsim ", onlyEnvoy: "+envoy   "}
	var b strings.Builder
	for _, e := range edits(sim, envoy) {
		b.WriteString(marks[e.side] + e.text + "\n")
	}
	return b.String()
}

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// difference is something in which hostsim is not Envoy, and why. There is no other way to allow a case to differ.
type difference struct {
	name   string // the case's
	sim    []string
	envoy  []string // the lines that stand for those of hostsim
	what   string
	reason string
}

var differences = []difference{
	{
		name:  "continue without a pause",
		sim:   []string{`reply 1 body: "GET /echo "`},
		envoy: []string{`reply 1 body: "HTTP/1.1 2"`},
		what: "The client of a request that the plugin continues in its headers callback, and then does not pause, gets the " +
			"body of the application's answer.",
		reason: "Envoy goes on twice, and so does hostsim: the application gets the request twice. But then Envoy reads the " +
			"start of the second answer as the body of the first, and is out of step with the connection. There are no " +
			"connections in hostsim.",
	},
}

// listed is the difference that a case may have, nil if it may have none.
func listed(name string) *difference {
	if i := slices.IndexFunc(differences, func(d difference) bool { return d.name == name }); i >= 0 {
		return &differences[i]
	}
	return nil
}

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
	d := listed(name)
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
	d := differences[0]
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
		{"as listed", d.name, sim, envoy, asListed, ""},
		{"a listed line that is something else", d.name, sim, []string{"a", "other", "z"}, different, "not as it is listed"},
		{"a line that is not listed", d.name, sim, append(envoy[:len(envoy):len(envoy)], "more"), different, "not as it is listed"},
		{"listed, and no longer different", d.name, sim, sim, different, "no longer differs"},
	} {
		v, problem := judge(c.name, c.sim, c.envoy)
		if v != c.want || !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
			t.Errorf("%s: %v %q", c.what, v, problem)
		}
	}
}

// TestDifferencesHaveCases is about a case that was renamed.
func TestDifferencesHaveCases(t *testing.T) {
	for _, d := range differences {
		if !slices.ContainsFunc(corpus(), func(c *Case) bool { return c.Name == d.name }) {
			t.Errorf("there is no case %q", d.name)
		}
	}
}

// listing is the document of the differences.
func listing() string {
	var b strings.Builder
	b.WriteString("# Where hostsim is not Envoy\n\n" +
		"All that the conformance cases found and that hostsim does not imitate, with the reason. A case that is listed must\n" +
		"differ in these lines and in no other; `make conformance` fails if it differs in more, or no longer. This list is\n" +
		"written by `make conformance-table` from the one that the comparison uses.\n")
	for _, d := range differences {
		fmt.Fprintf(&b, "\n## %s\n\n%s %s\n\n```diff\n", d.name, d.what, d.reason)
		for _, line := range d.sim {
			b.WriteString("- hostsim  " + line + "\n")
		}
		for _, line := range d.envoy {
			b.WriteString("+ Envoy    " + line + "\n")
		}
		b.WriteString("```\n")
	}
	b.WriteString(notCompared)
	return b.String()
}

const notCompared = `
## Not compared

The clock, ids, ports, and how a message is cut into bytes on a connection (` + "`transfer-encoding`, `connection`" + `) are
not compared. The numbers of shared data and queues count over a whole Envoy: they are compared where a case has an Envoy
to itself.

Of histograms, what the host calls answer is compared, not what ` + "`/stats`" + ` shows. There Envoy has percentiles of the last
flush interval and since the start, which it interpolates in the bins of its library (libcircllhist). In which interval a
value falls is a matter of real time, and no plugin can read them.
`

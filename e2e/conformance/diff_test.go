package conformance

import "strings"

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

package conformance

import "strings"

// diff is the lines of two runs next to each other: "-" is what only hostsim showed, "+" what only Envoy did.
func diff(sim, envoy []string) string {
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
	var b strings.Builder
	line := func(mark, text string) { b.WriteString(mark + " " + text + "\n") }
	i, j := 0, 0
	for i < len(sim) || j < len(envoy) {
		switch {
		case i < len(sim) && j < len(envoy) && sim[i] == envoy[j]:
			line(" ", sim[i])
			i, j = i+1, j+1
		case j == len(envoy) || i < len(sim) && length[i+1][j] >= length[i][j+1]:
			line("-hostsim", sim[i])
			i++
		default:
			line("+envoy  ", envoy[j])
			j++
		}
	}
	return b.String()
}

package document

import "strings"

// Nearest returns the name that was probably meant by another one, "" if none is near: equal but for case, hyphens and
// two letters, or one begins, or ends, with the other.
func Nearest(meant string, names []string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
	meant = plain(meant)
	best, found := 3, ""
	for _, name := range names {
		other := plain(name)
		far := edits(meant, other)
		switch {
		case len(meant) < 2: // no letter is like a name
			continue
		case len(meant) > 3 && strings.HasPrefix(other, meant):
			far = min(far, 1)
		case len(meant) > 2 && (strings.HasPrefix(other, meant) || strings.HasPrefix(meant, other)),
			len(meant) > 3 && strings.HasSuffix(other, meant):
			far = min(far, 2)
		}
		if far < best && far < max(len(meant), len(other)) {
			best, found = far, name
		}
	}
	return found
}

// edits returns the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

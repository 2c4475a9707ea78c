// Package fleet says which Envoys are a fleet's, and how many of them may be out of rotation.
package fleet

import (
	"errors"
	"fmt"
	"strings"
)

// Line is an admin's address in a file.
type Line struct {
	Address string
	Place   string // FILE:LINE
}

// Lines reads the text of a file that has an address in each line. What follows a # is a comment.
func Lines(file, text string) (out []Line, err error) {
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) { // which some editors write first
		number++
		words := strings.Fields(line)
		for i, word := range words {
			if strings.HasPrefix(word, "#") {
				words = words[:i]
				break
			}
		}
		place := fmt.Sprintf("%s:%d", file, number)
		switch len(words) {
		case 0:
		case 1:
			out = append(out, Line{words[0], place})
		default:
			// The line is not repeated: it may hold a password.
			return nil, fmt.Errorf("%s: has more than an address: write each in a line of its own, and # before a comment",
				place)
		}
	}
	if len(out) == 0 {
		return nil, errors.New(file + ": has no address of an admin")
	}
	return out, nil
}

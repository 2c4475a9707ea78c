package order

import (
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/fleet"
)

// LeftAsItWas begins an error of an Envoy with which nothing was changed.
const LeftAsItWas = "left as it was: "

// Summary counts how it went with many Envoys, and names those that failed.
func Summary(states []State) string {
	var words, failed, reasons []string
	all, already, left := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range states {
		word := "off"
		switch s := &states[i]; {
		case s.Left:
			why := strings.TrimPrefix(s.Error, LeftAsItWas)
			if left[why]++; left[why] == 1 {
				reasons = append(reasons, why)
			}
			continue
		case s.Error != "":
			failed = append(failed, s.Envoy)
			continue
		case len(s.Steps) > 0:
			word = s.Steps[len(s.Steps)-1].Name
		case s.On == nil:
			word = "not known"
		case *s.On:
			word = "on"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
		if all[word]++; states[i].Already {
			already[word]++
		}
	}
	slices.Sort(words)
	var parts []string
	for _, word := range words {
		part := fmt.Sprintf("%d %s", all[word], word)
		if n := already[word]; n > 0 {
			part += fmt.Sprintf(" (%d already)", n)
		}
		parts = append(parts, part)
	}
	if n := len(failed); n > 0 {
		parts = append(parts, fmt.Sprintf("%d failed: %s", n, fleet.Some(failed)))
	}
	for _, why := range reasons {
		parts = append(parts, fmt.Sprintf("%d left as they were: %s", left[why], why))
	}
	return strings.Join(parts, ", ")
}

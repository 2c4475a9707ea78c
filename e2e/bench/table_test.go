package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// table is one comparison. The first cell of a row is its name.
type table struct {
	title, about string
	columns      []string
	rows         [][]string
}

func (t table) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n## %s\n\n%s\n\n", t.title, t.about)
	rule := slices.Repeat([]string{"---:"}, len(t.columns))
	head := [][]string{append([]string{""}, t.columns...), append([]string{"---"}, rule...)}
	for _, row := range append(head, t.rows...) {
		for _, text := range row {
			out.WriteString(strings.TrimSuffix("| "+text, " ") + " ")
		}
		out.WriteString("|\n")
	}
	return out.String()
}

// cell writes the median of what was measured, and half the distance between the quartiles.
func cell(measured []float64, decimals int) string {
	if len(measured) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(measured))
	english := message.NewPrinter(language.English)
	write := func(v float64) string { return english.Sprint(number.Decimal(v, number.Scale(decimals))) }
	out := write(quantile(sorted, 0.5))
	if len(sorted) > 1 {
		out += " ±" + write((quantile(sorted, 0.75)-quantile(sorted, 0.25))/2)
	}
	return out
}

// quantile interpolates linearly between the two nearest samples (the method that R calls type 7).
func quantile(sorted []float64, q float64) float64 {
	low, part := math.Modf(q * float64(len(sorted)-1))
	high := min(int(low)+1, len(sorted)-1)
	return sorted[int(low)] + part*(sorted[high]-sorted[int(low)])
}

func TestCell(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		measured []float64
		decimals int
	}{
		"":              {nil, 0},
		"12,346":        {[]float64{12345.6}, 0},
		"0.50":          {[]float64{0.5}, 2},
		"2.5 ±0.8":      {[]float64{4, 1, 3, 2}, 1}, // the quartiles are 1.75 and 3.25
		"100 ±10":       {[]float64{120, 80, 110, 90, 100}, 0},
		"-0.01 ±0.01":   {[]float64{-0.03, -0.01, 0.01}, 2},
		"1,234.0 ±34.0": {[]float64{1200, 1268, 1234, 1200, 1268}, 1},
	} {
		if got := cell(c.measured, c.decimals); got != want {
			t.Errorf("cell(%v, %d) = %q, want %q", c.measured, c.decimals, got, want)
		}
	}
}

// Package stats says what a number of measurements of one thing amount to.
package stats

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
)

// Percentile returns the value below which p percent of the samples lie, interpolated linearly between the two nearest
// (the method that R calls type 7). It is not a number for no samples.
func Percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := p / 100 * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Median returns the middle of the samples.
func Median(samples []float64) float64 { return Percentile(samples, 50) }

// Spread returns half the distance between the quartiles, as a share of the median: 0.02 says that half of the samples
// lie about 2 % around it.
func Spread(samples []float64) float64 {
	return (Percentile(samples, 75) - Percentile(samples, 25)) / 2 / Median(samples)
}

// Interleave yields each case once in each round, as round and case, in an order that chance decides anew for each
// round. What disturbs the machine for a while then disturbs all cases alike.
func Interleave(r *rand.Rand, rounds, cases int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for round := range rounds {
			for _, c := range r.Perm(cases) {
				if !yield(round, c) {
					return
				}
			}
		}
	}
}

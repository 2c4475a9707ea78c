package sorted

import (
	"math/rand"
	"slices"
	"testing"
)

func TestSort(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(1))
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 1000} {
		for _, values := range []int{1, 2, n + 1} {
			got := make([]int, n)
			for i := range got {
				got[i] = r.Intn(values)
			}
			want := slices.Clone(got)
			slices.Sort(want)
			Sort(n, func(i, j int) bool { return got[i] < got[j] }, func(i, j int) { got[i], got[j] = got[j], got[i] })
			if !slices.Equal(got, want) {
				t.Errorf("%d of %d values: %v", n, values, got)
			}
		}
	}
}

// Whoever writes the configuration must not be able to make it slow.
func TestSortIsFastWhateverTheOrder(t *testing.T) {
	t.Parallel()
	const n = 1 << 16
	for name, at := range map[string]func(i int) int{
		"sorted": func(i int) int { return i }, "backwards": func(i int) int { return -i },
		"all the same": func(int) int { return 0 }, "an organ pipe": func(i int) int { return min(i, n-i) },
	} {
		values := make([]int, n)
		for i := range values {
			values[i] = at(i)
		}
		compared := 0
		Sort(n, func(i, j int) bool { compared++; return values[i] < values[j] }, func(i, j int) {
			values[i], values[j] = values[j], values[i]
		})
		if !slices.IsSorted(values) || compared > 2*n*16 {
			t.Errorf("%s: %d comparisons for %d values, sorted: %t", name, compared, n, slices.IsSorted(values))
		}
	}
}

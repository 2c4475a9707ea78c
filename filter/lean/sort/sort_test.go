package sort

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func TestLikeStandardSort(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 300 {
		for _, values := range []int{1, 3, 1000} { // equal ones, too
			list := make([]int, n)
			for i := range list {
				list[i] = r.IntN(values)
			}
			want := slices.Sorted(slices.Values(list))
			for range 2 { // then one that is in order
				Sort(sort.IntSlice(list))
				if !slices.Equal(list, want) {
					t.Fatalf("%d of %d: %v, not %v", n, values, list, want)
				}
			}
		}
	}
}

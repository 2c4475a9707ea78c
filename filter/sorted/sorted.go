// Package sorted sorts without the packages sort and slices, which bring a quicksort, a heap sort and an insertion sort
// for each type that they are used with: 30 kB of the standard module for the plugin's two lists.
package sorted

// Sort sorts n things, of which less compares two by their indexes and swap exchanges two. It is a heap sort: never more
// than n·log(n) comparisons, and not stable.
func Sort(n int, less func(i, j int) bool, swap func(i, j int)) {
	sink := func(top, n int) {
		for {
			child := 2*top + 1
			if child >= n {
				return
			}
			if child+1 < n && less(child, child+1) {
				child++
			}
			if !less(top, child) {
				return
			}
			swap(top, child)
			top = child
		}
	}
	for i := n/2 - 1; i >= 0; i-- {
		sink(i, n)
	}
	for i := n - 1; i > 0; i-- {
		swap(0, i)
		sink(0, i)
	}
}

// Package sort is what the plugin needs of the standard library's sort, with a tenth of its code.
package sort

// Interface is a list to sort.
type Interface interface {
	Len() int
	Less(i, j int) bool
	Swap(i, j int)
}

// Sort sorts a list by a heap, in n·log(n) comparisons whatever its order. Equal items may change places.
func Sort(list Interface) {
	n := list.Len()
	for i := n / 2; i > 0; i-- {
		sift(list, i-1, n)
	}
	for n > 1 {
		n--
		list.Swap(0, n)
		sift(list, 0, n)
	}
}

// sift moves an item down in the heap of the first n, below all that are greater.
func sift(list Interface, i, n int) {
	for child := 2*i + 1; child < n; i, child = child, 2*child+1 {
		if child+1 < n && list.Less(child, child+1) {
			child++
		}
		if !list.Less(i, child) {
			return
		}
		list.Swap(i, child)
	}
}

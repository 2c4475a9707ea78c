//go:build race

package render

// files is how many random files are rendered. The race detector makes each ten times as slow and finds nothing in what
// uses no goroutines: test-unit of the Makefile renders a thousand without it.
const files = 50

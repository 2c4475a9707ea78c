//go:build !race

package render

const files = 1000

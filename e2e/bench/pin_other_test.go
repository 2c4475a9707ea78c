//go:build !linux

package bench

import "testing"

func pin(t testing.TB, _ string, _ int) {
	t.Helper()
	t.Fatal("the benchmark needs Linux")
}

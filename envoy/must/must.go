// Package must is for tests: what has to succeed before anything can be tested, or ends the test.
package must

import (
	"os"
	"testing"
)

// Do ends the test if there is an error.
func Do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Get returns what a call returned, and ends the test if that was an error: must.Get(net.Listen("tcp", address))(t).
func Get[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		Do(t, err)
		return value
	}
}

// Read returns the text of a file.
func Read(t testing.TB, file string) string {
	t.Helper()
	return string(Get(os.ReadFile(file))(t))
}

// Write writes a file for this user.
func Write(t testing.TB, file, text string) {
	t.Helper()
	Do(t, os.WriteFile(file, []byte(text), 0o600))
}

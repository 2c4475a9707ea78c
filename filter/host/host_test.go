//go:build !wasm

package host

import (
	"reflect"
	"testing"
)

func TestEncodeHeaders(t *testing.T) {
	t.Parallel()
	const want = "\x02\x00\x00\x00" + "\x01\x00\x00\x00\x03\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "a\x00xyz\x00" + "bc\x00\x00"
	in := [][2]string{{"a", "xyz"}, {"bc", ""}}
	if got := string(EncodeHeaders(in)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := decodeHeaders(EncodeHeaders(in)); !reflect.DeepEqual(got, in) {
		t.Errorf("decoded as %q", got)
	}
	if got := string(EncodeHeaders(nil)); got != "\x00\x00\x00\x00" {
		t.Errorf("none: %q", got)
	}
}

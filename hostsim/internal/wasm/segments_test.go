package wasm

import (
	"bytes"
	"slices"
	"testing"
)

func dataSection(segments ...segment) []byte {
	b := []byte{byte(len(segments))}
	for _, s := range segments {
		b = append(appendI32(append(b, 0, 0x41), int32(uint32(s.at))), 0x0b, byte(len(s.data)))
		b = append(b, s.data...)
	}
	return b
}

func TestMergeSegments(t *testing.T) {
	t.Parallel()
	text := func(at uint64, data string) segment { return segment{at, []byte(data)} }
	far := uint64(64 + maxGap + 2)
	for name, c := range map[string]struct{ in, want []segment }{
		"none":        {nil, nil},
		"one":         {[]segment{text(70000, "a")}, []segment{text(70000, "a")}},
		"near":        {[]segment{text(64, "a"), text(67, "bc"), text(69, "d")}, []segment{text(64, "a\x00\x00bcd")}},
		"out of turn": {[]segment{text(67, "b"), text(64, "a")}, []segment{text(64, "a\x00\x00b")}},
		"far":         {[]segment{text(64, "a"), text(far, "b")}, []segment{text(64, "a"), text(far, "b")}},
		"overlapping": {[]segment{text(64, "ab"), text(65, "c")}, []segment{text(64, "ab"), text(65, "c")}},
		"high":        {[]segment{text(1<<31, "a"), text(1<<31+1, "b")}, []segment{text(1<<31, "ab")}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := mergeSegments(dataSection(c.in...), false), dataSection(c.want...); !bytes.Equal(got, want) {
				t.Errorf("%s: % x, want % x", name, got, want)
			}
		})
	}
	near := dataSection(text(64, "a"), text(65, "b"))
	for name, section := range map[string][]byte{
		"passive":   {2, 1, 1, 'a', 1, 1, 'b'},
		"elsewhere": {2, 0, 0x23, 0, 0x0b, 1, 'a', 0, 0x41, 1, 0x0b, 1, 'b'},
		"truncated": near[:len(near)-1],
	} {
		t.Run(name, func(t *testing.T) {
			if got := mergeSegments(slices.Clone(section), false); !bytes.Equal(got, section) {
				t.Errorf("%s: % x", name, got)
			}
		})
	}
	if !bytes.Equal(mergeSegments(near, true), near) {
		t.Error("segments that code can name were merged")
	}
}

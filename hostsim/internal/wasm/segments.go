package wasm

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// maxGap is the number of zeros that may be copied to save one data segment.
const maxGap = 4096

// segment is data that lies in memory from the start.
type segment struct {
	at   uint64
	data []byte
}

// mergeSegments merges neighbouring data segments. Go's linker writes one per run of bytes other than zero, tens of
// thousands, and the engine evaluates the place of each whenever it makes an instance. The section is returned as it is
// if it holds more than plain data at constant places, if places overlap, or if counted says that the module states the
// number of segments, since its code may name a segment then.
func mergeSegments(section []byte, counted bool) []byte {
	r := &reader{b: section}
	segments := make([]segment, r.count())
	for i := range segments {
		if r.u32() != 0 || r.byte() != 0x41 { // memory 0, i32.const
			return section
		}
		segments[i].at = uint64(uint32(r.i32()))
		if r.byte() != 0x0b {
			return section
		}
		segments[i].data = r.take(r.u32())
	}
	slices.SortStableFunc(segments, func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	var merged []segment
	end := uint64(0)
	for i, s := range segments {
		switch {
		case i > 0 && s.at < end:
			return section
		case i > 0 && s.at-end <= maxGap:
			last := &merged[len(merged)-1]
			last.data = append(append(last.data, make([]byte, s.at-end)...), s.data...)
		default:
			merged = append(merged, segment{s.at, bytes.Clone(s.data)})
		}
		end = s.at + uint64(len(s.data))
	}
	if r.err != nil || len(r.b) > 0 || counted {
		return section
	}
	out := binary.AppendUvarint(nil, uint64(len(merged)))
	for _, s := range merged {
		out = appendI32(append(out, 0, 0x41), int32(uint32(s.at)))
		out = binary.AppendUvarint(append(out, 0x0b), uint64(len(s.data)))
		out = append(out, s.data...)
	}
	return out
}

// i32 reads a signed LEB128 number.
func (r *reader) i32() int32 {
	n, shift := int64(0), 0
	for shift < 35 {
		b := r.byte()
		n |= int64(b&0x7f) << shift
		shift += 7
		if b&0x80 == 0 {
			break
		}
	}
	return int32(n << (64 - shift) >> (64 - shift))
}

func appendI32(b []byte, n int32) []byte {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

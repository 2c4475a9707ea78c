package snapshot

import (
	"encoding/binary"
	"math"

	"github.com/healthgate/healthgate/filter/maintenance"
)

// Version is the first byte of the stored form. A reader takes no record of another version: two builds of the plugin
// may share a store while one replaces the other.
const Version = 6

// Append adds the record's stored form to b: little-endian numbers in the order of the fields, texts with a 16-bit
// length before them, the terms with one of 32 bits.
func (r *Record) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, Version)
	b = le.AppendUint64(b, r.Writer)
	b = le.AppendUint64(b, r.Number)
	b = le.AppendUint64(b, uint64(r.WrittenAt))
	b = append(le.AppendUint32(b, uint32(len(r.Terms))), r.Terms...)
	b = r.Runtime.append(b)
	b = r.Ready.append(b)
	b = append(b, flag(r.Draining))
	for i := range r.Keys {
		k := &r.Keys[i]
		b = append(b, flag(k.Switch.On)|flag(k.Unread)<<1)
		b = le.AppendUint64(b, uint64(k.Switch.Until))
		b = appendText(b, k.Value)
		b = appendText(b, k.Reason)
	}
	for i := range r.Probes {
		p := &r.Probes[i]
		b = p.append(b)
		b = append(b, byte(p.Latest.Outcome))
		b = le.AppendUint32(b, p.Latest.Status)
		b = append(b, flag(p.Healthy))
		b = le.AppendUint32(b, p.Streak)
		b = le.AppendUint64(b, uint64(p.ChangedAt))
	}
	return b
}

func (f *Finding) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, byte(f.Outcome))
	b = le.AppendUint32(b, f.Status)
	b = le.AppendUint64(b, uint64(f.StartedAt))
	b = le.AppendUint64(b, uint64(f.At))
	return le.AppendUint32(b, f.TookMs)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// Decode reads a stored form into r. Terms and texts that did not change are kept, so that decoding a new record
// usually allocates nothing. It reports false for anything that Append did not write; r is then not to be used.
func (r *Record) Decode(b []byte) bool {
	c := cursor{b: b, ok: true}
	if c.byte() != Version {
		return false
	}
	r.Writer, r.Number, r.WrittenAt = c.uint64(), c.uint64(), int64(c.uint64())
	if terms := c.next(int(min(c.uint32(), math.MaxInt32))); !same(terms, string(r.Terms)) {
		r.Terms = Terms(terms)
	}
	if keys, probes := r.Terms.Keys(), r.Terms.Probes(); len(r.Keys) != keys || len(r.Probes) != probes {
		r.Keys, r.Probes = make([]Key, keys), make([]Probe, probes)
	}
	c.finding(&r.Runtime)
	c.finding(&r.Ready)
	r.Draining = c.byte() != 0
	for i := range r.Keys {
		k := &r.Keys[i]
		flags := c.byte()
		k.Switch, k.Unread = maintenance.Switch{On: flags&1 != 0, Until: int64(c.uint64())}, flags&2 != 0
		c.text(&k.Value)
		c.text(&k.Reason)
	}
	for i := range r.Probes {
		p := &r.Probes[i]
		c.finding(&p.Finding)
		p.Latest = Result{Outcome(c.byte()), c.uint32()}
		p.Healthy, p.Streak, p.ChangedAt = c.byte() != 0, c.uint32(), int64(c.uint64())
	}
	return c.ok && len(c.b) == 0
}

// cursor reads from the front of b; ok turns false when b is too short.
type cursor struct {
	b  []byte
	ok bool
}

var zeros [8]byte

func (c *cursor) next(n int) []byte {
	if len(c.b) < n {
		c.ok, c.b = false, nil
		return zeros[:min(n, len(zeros))]
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte     { return c.next(1)[0] }
func (c *cursor) uint32() uint32 { return binary.LittleEndian.Uint32(c.next(4)) }
func (c *cursor) uint64() uint64 { return binary.LittleEndian.Uint64(c.next(8)) }

func (c *cursor) finding(f *Finding) {
	f.Outcome, f.Status = Outcome(c.byte()), c.uint32()
	f.StartedAt, f.At, f.TookMs = int64(c.uint64()), int64(c.uint64()), c.uint32()
}

func (c *cursor) text(s *string) {
	n := int(binary.LittleEndian.Uint16(c.next(2)))
	if text := c.next(n); !same(text, *s) {
		*s = string(text)
	}
}

// same compares without the copy that TinyGo makes of b for a conversion to string.
func same(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i] != s[i] {
			return false
		}
	}
	return true
}

// Origin returns the writer of a stored form and the number of its write, or zeros when another version wrote it.
func Origin(b []byte) (writer, number uint64) {
	if len(b) < 17 || b[0] != Version {
		return 0, 0
	}
	return binary.LittleEndian.Uint64(b[1:]), binary.LittleEndian.Uint64(b[9:])
}

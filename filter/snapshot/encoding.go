package snapshot

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/filter/maintenance"
)

// version is the first byte of the stored form. A reader takes no record of another version: two builds of the plugin
// may share a store while one replaces the other.
const version = 1

// Flag bits of a probe.
const (
	flagSeen = 1 << iota
	flagHealthy
)

// Append adds the record's stored form to b: little-endian numbers in the order of the fields, texts with a 16-bit
// length before them. The numbers of keys and probes are not stored: the store's key carries the configuration's
// fingerprint, so writer and reader agree on them.
func (r *Record) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, version, flag(r.Draining, 1))
	b = le.AppendUint64(b, r.Writer)
	for _, t := range [...]int64{r.StartedAt, r.WrittenAt, r.RuntimeAt, r.PolledAt} {
		b = le.AppendUint64(b, uint64(t))
	}
	for i := range r.Keys {
		k := &r.Keys[i]
		b = append(b, flag(k.Switch.On, 1))
		b = le.AppendUint64(b, uint64(k.Switch.Until))
		b = appendText(b, k.Value)
		b = appendText(b, k.Reason)
	}
	for i := range r.Probes {
		p := &r.Probes[i]
		b = append(b, flag(p.Seen, flagSeen)|flag(p.Healthy, flagHealthy))
		b = le.AppendUint32(b, p.Status)
		b = le.AppendUint32(b, p.Streak)
		b = le.AppendUint32(b, p.LatencyMs)
		b = le.AppendUint64(b, uint64(p.StartedAt))
		b = le.AppendUint64(b, uint64(p.ChangedAt))
	}
	return b
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(s))), s...)
}

// Decode reads a stored form into r, whose Keys and Probes have the configuration's lengths. Texts that did not change
// are kept, so that decoding a new record usually allocates nothing. It reports false for anything that Append did not
// write; r is then not to be used.
func (r *Record) Decode(b []byte) bool {
	c := cursor{b: b, ok: true}
	if c.byte() != version {
		return false
	}
	r.Draining = c.byte() != 0
	r.Writer = c.uint64()
	for _, t := range [...]*int64{&r.StartedAt, &r.WrittenAt, &r.RuntimeAt, &r.PolledAt} {
		*t = int64(c.uint64())
	}
	for i := range r.Keys {
		k := &r.Keys[i]
		k.Switch = maintenance.Switch{On: c.byte() != 0, Until: int64(c.uint64())}
		c.text(&k.Value)
		c.text(&k.Reason)
	}
	for i := range r.Probes {
		p := &r.Probes[i]
		flags := c.byte()
		p.Seen, p.Healthy = flags&flagSeen != 0, flags&flagHealthy != 0
		p.Status, p.Streak, p.LatencyMs = c.uint32(), c.uint32(), c.uint32()
		p.StartedAt, p.ChangedAt = int64(c.uint64()), int64(c.uint64())
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

func (c *cursor) text(s *string) {
	n := int(binary.LittleEndian.Uint16(c.next(2)))
	if text := c.next(n); string(text) != *s {
		*s = string(text)
	}
}

// Writer returns the writer of a stored form, 0 when it is none of this version.
func Writer(b []byte) uint64 {
	if len(b) < 10 || b[0] != version {
		return 0
	}
	return binary.LittleEndian.Uint64(b[2:])
}

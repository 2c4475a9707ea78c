package succession

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// Asked is the stored form of which configurations there are, where each was asked, and on which connection. Envoy
// numbers its connections in the order in which it accepts them, and of a listener's configurations only the current
// one gets new connections. So of those that are asked at one address, the one with the newest connection has
// replaced the others, in whatever order a VM met them; and of two listeners none replaces the other.
type Asked []byte

// Check is a health check, as far as it tells which configuration is current. Without an address, it is none: the
// configuration is there.
type Check struct {
	Config     uint64 // that answers it
	Address    uint64 // that it was sent to, as a hash
	Connection uint64 // its number, from 1
}

// entry is a configuration at one address.
type entry struct {
	Check
	born  int64 // when the configuration was first seen
	asked int64 // when its last check came, 0 for never
}

const (
	size = 5 * 8
	// most is for how many entries there is room: the last that were written.
	most = 64
	// fresh is how old an entry may be that a new check on the same connection need not replace.
	fresh = int64(duration.Second)
)

func (a Asked) entry(at int) entry {
	return entry{Check{a.number(at), a.number(at + 8), a.number(at + 16)}, int64(a.number(at + 24)),
		int64(a.number(at + 32))}
}

func (a Asked) number(at int) uint64 { return binary.LittleEndian.Uint64(a[at:]) }

func (e entry) append(a Asked) Asked {
	for _, number := range [...]uint64{e.Config, e.Address, e.Connection, uint64(e.born), uint64(e.asked)} {
		a = binary.LittleEndian.AppendUint64(a, number)
	}
	return a
}

// Note returns the form in which it is noted what was seen at a time of the monotonic clock: a check or, without one,
// that the configuration is there, since born. It returns nil, and allocates nothing, if that is no news.
func (a Asked) Note(c Check, check bool, born, now int64) Asked {
	for at := 0; at+size <= len(a); at += size {
		e := a.entry(at)
		if e.Config == c.Config && (!check || e.Address == c.Address && c.Connection <= e.Connection &&
			0 <= now-e.asked && now-e.asked < fresh) {
			return nil
		}
	}
	e := entry{Check: c, born: born}
	if check {
		e.asked = now
	}
	rest := make(Asked, 0, len(a))
	for at := 0; at+size <= len(a); at += size {
		o := a.entry(at)
		if o.Config == c.Config {
			e.born = min(e.born, o.born)
			if o.Address == c.Address || o.Address == 0 {
				e.Connection = max(e.Connection, o.Connection)
				continue
			}
		}
		if len(rest) < (most-1)*size {
			rest = append(rest, a[at:at+size]...)
		}
	}
	return append(e.append(make(Asked, 0, size+len(rest))), rest...)
}

// Of returns when a configuration was first seen and last asked, 0 for never.
func (a Asked) Of(config uint64) (born, asked int64) {
	for at := 0; at+size <= len(a); at += size {
		if e := a.entry(at); e.Config == config {
			born, asked = e.born, max(asked, e.asked)
		}
	}
	return born, asked
}

// Family is the other configurations that may replace one.
type Family interface {
	Has(config uint64) bool
}

// Replaced reports whether others have replaced a configuration: at each address where it was asked, one of them was on
// a newer connection. One that was never asked is replaced by any that was and came later.
func (a Asked) Replaced(config uint64, born int64, by Family) bool {
	_, asked := a.Of(config)
	for at := 0; at+size <= len(a); at += size {
		switch e := a.entry(at); {
		case asked == 0 && e.asked != 0 && e.born > born && by.Has(e.Config):
			return true
		case e.Config == config && asked != 0 && !a.beaten(e.Check, by):
			return false
		}
	}
	return asked != 0
}

func (a Asked) beaten(own Check, by Family) bool {
	for at := 0; at+size <= len(a); at += size {
		c := a.entry(at).Check
		if c.Address == own.Address && c.Connection > own.Connection && by.Has(c.Config) {
			return true
		}
	}
	return false
}

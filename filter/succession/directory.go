package succession

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// Directory is the stored form of which configurations there are, where each was asked, and on which connection. Envoy
// numbers its connections in the order in which it accepts them, and of a listener's configurations only the current
// one gets new connections. So of those that are asked at one address, the one with the newest connection has
// replaced the others, in whatever order a VM met them; and of two listeners none replaces the other.
type Directory []byte

// Identity tells a configuration from others; all of it are hashes.
type Identity struct {
	Config uint64 // the whole of it
	Name   uint64 // of the plugin: only configurations of one name have to do with each other
	State  uint64 // what its record is made of: its fingerprint
}

// Check is a health check, as far as it tells which configuration is current. Without an address, it is none: the
// configuration is there.
type Check struct {
	Address    uint64 // that it was sent to, as a hash
	Connection uint64 // its number, from 1
}

// Entry is a configuration at one address.
type Entry struct {
	Identity
	Check
	Born  int64 // when the configuration was first seen
	Seen  int64 // when a VM last said that it has it
	Asked int64 // when its last check came, 0 for never
}

const (
	size = 8 * 8
	// most is for how many entries there is room: the last that were written.
	most = 64
	// fresh is how old an entry may be that a new check on the same connection need not replace.
	fresh = int64(duration.Second)
	// refresh is how often a VM says that it has a configuration.
	refresh = int64(2 * duration.Second)
	// lost is for how long nobody has said so when a configuration has come to its end.
	lost = int64(10 * duration.Second)
)

// Len is the number of entries, the last that was written first.
func (d Directory) Len() int { return len(d) / size }

// At is one of them.
func (d Directory) At(i int) Entry {
	at := d[i*size:]
	return Entry{Identity{at.number(0), at.number(1), at.number(2)}, Check{at.number(3), at.number(4)},
		int64(at.number(5)), int64(at.number(6)), int64(at.number(7))}
}

func (d Directory) number(n int) uint64 { return binary.LittleEndian.Uint64(d[8*n:]) }

func (e Entry) append(d Directory) Directory {
	for _, number := range [...]uint64{e.Config, e.Name, e.State, e.Address, e.Connection,
		uint64(e.Born), uint64(e.Seen), uint64(e.Asked)} {
		d = binary.LittleEndian.AppendUint64(d, number)
	}
	return d
}

// There reports whether a VM has the configuration, as far as is known.
func (e Entry) There(now int64) bool { return 0 <= now-e.Seen && now-e.Seen <= lost }

// Note writes into a buffer, and returns, the form in which it is noted what was seen at a time of the monotonic
// clock: a check or, without one, that the configuration is there, since born. It returns nil if that is no news.
func (d Directory) Note(into Directory, id Identity, c Check, check bool, born, now int64) Directory {
	e := Entry{Identity: id, Check: c, Born: born, Seen: now}
	if check {
		e.Asked = now
	}
	known := false
	for i := range d.Len() {
		o := d.At(i)
		if o.Config != id.Config {
			continue
		}
		e.Born = min(e.Born, o.Born)
		known = true
		here := o.Address == c.Address
		if here || o.Address == 0 {
			e.Connection = max(e.Connection, o.Connection)
		}
		if within(o.Seen, now, refresh) &&
			(!check || here && c.Connection <= o.Connection && within(o.Asked, now, fresh)) {
			return nil
		}
	}
	into = into[:0]
	if check || !known {
		into = e.append(into)
	}
	for i := range d.Len() { // its other addresses
		o := d.At(i)
		if o.Config == id.Config && !(check && (o.Address == c.Address || o.Address == 0)) {
			o.Seen = now
			into = o.append(into)
		}
	}
	for i := range d.Len() {
		if d.At(i).Config != id.Config {
			into = append(into, d[i*size:(i+1)*size]...)
		}
	}
	return into[:min(len(into), most*size)]
}

func within(at, now, span int64) bool { return 0 <= now-at && now-at < span }

// Of returns when a configuration was first seen and last asked, 0 for never.
func (d Directory) Of(config uint64) (born, asked int64) {
	for i := range d.Len() {
		if e := d.At(i); e.Config == config {
			born, asked = e.Born, max(asked, e.Asked)
		}
	}
	return born, asked
}

// Replaced reports whether others have replaced a configuration: at each address where it was asked, one of them was on
// a newer connection. One that was never asked is replaced by any that was and came later.
func (d Directory) Replaced(id Identity, born int64) bool {
	_, asked := d.Of(id.Config)
	for i := range d.Len() {
		switch e := d.At(i); {
		case asked == 0 && e.Asked != 0 && e.Born > born && e.rivals(id):
			return true
		case e.Config == id.Config && asked != 0 && !d.beaten(e):
			return false
		}
	}
	return asked != 0
}

func (d Directory) beaten(own Entry) bool {
	for i := range d.Len() {
		if e := d.At(i); e.Address == own.Address && e.Connection > own.Connection && e.rivals(own.Identity) {
			return true
		}
	}
	return false
}

func (e Entry) rivals(id Identity) bool { return e.Name == id.Name && e.Config != id.Config }

// Tells reports whether a configuration with the same state is not replaced.
func (d Directory) Tells(id Identity, now int64) bool {
	for i := range d.Len() {
		if e := d.At(i); e.Name == id.Name && e.State == id.State && e.There(now) && !d.Replaced(e.Identity, e.Born) {
			return true
		}
	}
	return false
}

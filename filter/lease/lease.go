// Package lease elects one leader among VMs that share a store with compare-and-swap, by a lease that expires.
//
// It decides only what to do with the stored value; the caller reads and writes the store. Times are nanoseconds of
// a monotonic clock that all VMs of the process share, so that setting the wall clock moves no lease.
package lease

import (
	"encoding/binary"
	"math"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

const (
	// TTL is how long a lease lasts without renewal: the time after which a dead leader is replaced.
	TTL = 1500 * duration.Millisecond
	// Renewal is how often a living leader renews, so that it may miss two turns.
	Renewal = 500 * duration.Millisecond
)

// Step is what to do next.
type Step uint8

// The steps of an election.
const (
	Follow Step = iota // another owner's lease holds
	Lead               // our own lease holds and needs no renewal yet
	Swap               // compare-and-swap Value; we lead if it succeeds, else follow
	Seize              // Swap, but the stored value is not a valid lease: no VM takes a lease for so long
)

// Absent is the CAS number to swap with when nothing is stored. Envoy compares numbers only with a stored value, so it
// creates one with any; but if another VM was faster, this number, which is never given out, does not match. (Number 0
// would overwrite: SharedData::set in proxy-wasm-cpp-host.)
const Absent = math.MaxUint32

// Next decides from the stored value; found is false when nothing is stored. The clock must have been read after it: a
// lease that seems to end later than any can is not one.
func Next(stored []byte, found bool, owner uint64, now int64) Step {
	if !found {
		return Swap
	}
	holder, expires := decode(stored)
	left := expires - now
	switch {
	case left > int64(TTL):
		return Seize
	case holder == owner && left > int64(TTL-Renewal):
		return Lead
	case holder == owner, left <= 0:
		return Swap
	default:
		return Follow
	}
}

// Lasts reports whether a lease that was last renewed at a time may still be ours, without a look at the store. It is
// over when the process stood still for longer, and when the clock went back.
func Lasts(renewed, now int64) bool { return renewed <= now && now < renewed+int64(TTL) }

// Value is the stored form of a lease that owner takes or renews at now.
func Value(owner uint64, now int64) []byte { return encode(owner, now+int64(TTL)) }

// Free is the stored form of a lease that no one holds: what a leader that leaves writes.
func Free() []byte { return encode(0, 0) }

const size = 16

func encode(owner uint64, expires int64) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, size), owner)
	return binary.LittleEndian.AppendUint64(b, uint64(expires))
}

// decode takes a value of the wrong size as a free lease: it can only be a leftover of another version.
func decode(b []byte) (owner uint64, expires int64) {
	if len(b) != size {
		return 0, 0
	}
	return binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))
}

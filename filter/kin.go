//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/succession"
)

// kin is another record of the family, and the configurations that have it.
type kin struct {
	*succession.Kin
	stored
	state uint64
	terms snapshot.Terms // as far as is known

	listed   bool  // in the directory, at the last look
	replaced bool  // all of its configurations
	current  bool  // one of them is not, and is there
	born     int64 // when the newest of those was first seen
}

// lastEnded and mostKin bound with how many records a configuration deals: a control plane may update faster than
// connections drain.
const lastEnded, mostKin = 8, 32

// read reads the record, and finds out what of it is of use to a configuration with these terms.
func (k *kin) read(own snapshot.Terms) (valid bool) {
	if k.stored.read() && k.valid && k.record.Terms != k.terms {
		k.terms = k.record.Terms
		k.Kin = succession.Meet(own, k.terms)
	}
	return k.valid
}

// meet finds the others of the family in the directory. It allocates only for those that are new.
func (v *view) meet(id succession.Identity, directory succession.Directory, now int64) {
	for _, k := range v.kin {
		k.listed, k.replaced, k.current, k.born = false, true, false, 0
	}
	ended := 0
	for i := range directory.Len() {
		e := directory.At(i)
		if e.Name != id.Name || e.State == id.State {
			continue
		}
		replaced := directory.Replaced(e.Identity, e.Born)
		current := !replaced && e.There(now)
		if !current {
			ended++
		}
		if !current && ended > lastEnded || replaced && now-max(e.Asked, e.Born) > int64(askedFor+restPeriod) {
			continue
		}
		k := v.kinOf(e.State)
		if k == nil && len(v.kin) < mostKin {
			k = &kin{stored: newStored(e.State), state: e.State, replaced: true}
			v.kin = append(v.kin, k)
			v.forget()
		}
		if k == nil {
			continue
		}
		k.listed, k.replaced, k.current = true, k.replaced && replaced, k.current || current
		if current {
			k.born = max(k.born, e.Born)
		}
	}
	v.drop()
}

func (v *view) kinOf(state uint64) *kin {
	for _, k := range v.kin {
		if k.state == state {
			return k
		}
	}
	return nil
}

// drop removes those that are not listed any more.
func (v *view) drop() {
	rest := v.kin[:0]
	for _, k := range v.kin {
		if k.listed {
			rest = append(rest, k)
		}
	}
	if len(rest) < len(v.kin) {
		clear(v.kin[len(rest):])
		v.kin = rest
		v.forget()
	}
}

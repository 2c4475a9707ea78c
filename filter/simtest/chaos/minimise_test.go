package chaos

import "slices"

// minimise takes operations out of a plan as long as it breaks the same rule (delta debugging: Zeller and Hildebrandt,
// Simplifying and Isolating Failure-Inducing Input, 2002).
func minimise(p *plan, fails func(*plan) bool) *plan {
	best := p
	try := func(ops []op) bool {
		for seed := p.Seed; seed < p.Seed+3; seed++ { // fewer operations draw another order of what is due at once
			smaller := &plan{p.Notes, seed, p.Workers, p.Configs, ops}
			if fails(smaller) {
				best = smaller
				return true
			}
		}
		return false
	}
	for chunk := (len(best.Ops) + 1) / 2; chunk > 0; {
		shrunk := false
		for from := 0; from < len(best.Ops); {
			if try(slices.Delete(slices.Clone(best.Ops), from, min(from+chunk, len(best.Ops)))) {
				shrunk = true
			} else {
				from += chunk
			}
		}
		switch {
		case chunk > 1:
			chunk /= 2
		case !shrunk:
			chunk = 0
		}
	}
	return best
}

// breaks is a test for minimise: whether a plan breaks a rule.
func breaks(wasm []byte, rule string) func(*plan) bool {
	return func(p *plan) bool {
		v := play(wasm, p).violation
		return v != nil && v.rule == rule
	}
}

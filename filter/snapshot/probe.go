package snapshot

import "github.com/healthgate/healthgate/filter/lean/duration"

// Probe is the state of one probe.
type Probe struct {
	Finding          // its outcome and status are those of the last result that agrees with Healthy
	Latest    Result // the last one
	Healthy   bool
	Streak    uint32 // how many results in a row contradict Healthy
	ChangedAt int64  // when Healthy last changed
}

// Result is how a request ended, and its status as in a Finding.
type Result struct {
	Outcome Outcome
	Status  uint32
}

// Thresholds are how many contradicting results in a row change a probe's state, and for how long at the least it stays
// unhealthy.
type Thresholds struct {
	Unhealthy, Healthy uint32
	MinUnhealthy       duration.Duration
}

func (t Thresholds) of(success bool) uint32 {
	if success {
		return t.Healthy
	}
	return t.Unhealthy
}

// Succeeded reports whether the last result was a success.
func (p *Probe) Succeeded() bool { return p.Healthy == (p.Streak == 0) }

// Add applies a result, which has just become the finding's last. As in Envoy's active health checking the first one
// decides at once, and so does the first after none for too long: decides says that it is such a one.
func (p *Probe) Add(r Result, success, decides bool, t Thresholds) {
	p.Latest = r
	switch {
	case decides && !(success && p.held(t)):
		p.turn(success)
	case success == p.Healthy:
		// On the way up, a success does not replace the status of the failure.
		p.Outcome, p.Status, p.Streak = r.Outcome, r.Status, 0
	default:
		p.Streak++
		p.Hold(t)
	}
}

// Hold applies other thresholds than those that the state was found with.
func (p *Probe) Hold(t Thresholds) {
	if success := p.Succeeded(); success != p.Healthy && p.Streak >= t.of(success) && !(success && p.held(t)) {
		p.turn(success)
	}
}

// held reports whether it is too early for the probe to be healthy again.
func (p *Probe) held(t Thresholds) bool {
	return !p.Healthy && p.ChangedAt != 0 && p.At-p.ChangedAt < int64(t.MinUnhealthy)
}

func (p *Probe) turn(healthy bool) {
	p.Outcome, p.Status = p.Latest.Outcome, p.Latest.Status
	p.Healthy, p.Streak, p.ChangedAt = healthy, 0, p.At
}

package report

import "slices"

// Class is how an Envoy is as a whole. The worst comes first.
type Class int

// Classes.
const (
	Failing  Class = iota // some health check fails
	Unasked               // it could not be asked
	NotKnown              // what some health check gets is not known, or not for sure
	Planned
	Degraded // by probes that do not fail it; whether its reply is a success is in HTTPStatus
	Passed   // the application answers, and is not asked
	Healthy
	Classes
)

func (c Class) String() string {
	return [...]string{"failing", "could not be asked", "not known for sure", "in maintenance or draining", "degraded",
		"passed to the application", "healthy"}[c]
}

// Class returns that of the worst health check.
func (r *Report) Class() Class {
	if r.Error != "" {
		return Unasked
	}
	class := Healthy
	for i := range r.Endpoints {
		class = min(class, r.Endpoints[i].Class())
	}
	if len(r.Endpoints) == 0 {
		class = NotKnown
	}
	return class
}

// Class returns that of the verdict, unless some check may get something else.
func (e *Endpoint) Class() Class {
	if e.NotEverywhere || len(e.Unsure) > 0 {
		return min(NotKnown, Of(e.Verdict))
	}
	return Of(e.Verdict)
}

// Open reports whether checks get success by the verdict, or what the application answers.
func (e *Endpoint) Open() bool { return Of(e.Verdict) >= Degraded && e.HTTPStatus < 400 }

// Open reports whether all checks get that, for sure.
func (r *Report) Open() bool {
	return r.Class() >= Degraded && !slices.ContainsFunc(r.Endpoints, func(e Endpoint) bool { return !e.Open() })
}

// Of returns the class of a verdict.
func Of(verdict string) Class {
	switch verdict {
	case "":
		return NotKnown
	case "healthy":
		return Healthy
	case "degraded":
		return Degraded
	case "passed":
		return Passed
	case "maintenance", "draining":
		return Planned
	}
	return Failing
}

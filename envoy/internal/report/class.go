package report

// Class is how an Envoy is as a whole. The worst comes first.
type Class int

// Classes.
const (
	Failing  Class = iota // some health check fails
	Unasked               // it could not be asked
	NotKnown              // what some health check gets is not known, or not for sure
	Planned
	Healthy
	Classes
)

func (c Class) String() string {
	return [...]string{"failing", "could not be asked", "not known for sure", "in maintenance or draining", "healthy"}[c]
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

// Of returns the class of a verdict.
func Of(verdict string) Class {
	switch verdict {
	case "":
		return NotKnown
	case "healthy", "degraded", "passed":
		return Healthy
	case "maintenance", "draining":
		return Planned
	}
	return Failing
}

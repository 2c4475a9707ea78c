package report

// Class is how an Envoy is as a whole. The worst comes first.
type Class int

// Classes.
const (
	Failing  Class = iota // some health check fails
	Unasked               // it could not be asked
	NotKnown              // what some health check gets
	Planned
	Healthy
	Classes
)

func (c Class) String() string {
	return [...]string{"failing", "could not be asked", "not known", "in maintenance or draining", "healthy"}[c]
}

// Class returns that of the worst health check.
func (r *Report) Class() Class {
	if r.Error != "" {
		return Unasked
	}
	class := Healthy
	for i := range r.Endpoints {
		class = min(class, Of(r.Endpoints[i].Verdict))
	}
	if len(r.Endpoints) == 0 {
		class = NotKnown
	}
	return class
}

// Of returns the class of a verdict.
func Of(verdict string) Class {
	switch verdict {
	case "":
		return NotKnown
	case "healthy", "passed":
		return Healthy
	case "maintenance", "draining":
		return Planned
	}
	return Failing
}

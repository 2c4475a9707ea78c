package conformance

// known reports whether all that differs is listed.
func known(*Case, []string, []string) bool { return false }

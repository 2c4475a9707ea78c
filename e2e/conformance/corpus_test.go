package conformance

import "slices"

// corpus is all cases.
func corpus() []*Case {
	return slices.Concat(headerCases, bodyCases, sharedCases, metricCases, flowCases, replyCases, calloutCases,
		propertyCases, rootCases, trapCases)
}

// get and post are the steps of most cases.
func get(path string) []Step { return []Step{{Request: &Request{Path: path}}} }

func post(path, body string) []Step {
	return []Step{{Request: &Request{Method: "POST", Path: path, Body: body}}}
}

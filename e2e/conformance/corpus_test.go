package conformance

// group is the cases about one subject.
type group struct {
	name  string
	cases []*Case
}

var groups = []group{
	{"headers", headerCases}, {"bodies", bodyCases}, {"shared", sharedCases}, {"metrics", metricCases}, {"flow", flowCases},
	{"replies", replyCases}, {"crashes", crashCases}, {"callouts", calloutCases}, {"grpc", grpcCases},
	{"properties", propertyCases}, {"root", rootCases}, {"foreign functions", foreignCases}, {"traps", trapCases},
	{"threads", threadCases}, {"filter", append(filterCases, filterStateCases...)}, {"guests", guestCases},
}

// corpus is all cases.
func corpus() []*Case {
	var all []*Case
	for _, g := range groups {
		all = append(all, g.cases...)
	}
	return all
}

// get and post are the steps of most cases.
func get(path string) []Step { return []Step{{Request: &Request{Path: path}}} }

func post(path, body string) []Step {
	return []Step{{Request: &Request{Method: "POST", Path: path, Body: body}}}
}

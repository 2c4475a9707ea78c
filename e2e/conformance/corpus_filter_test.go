package conformance

import "fmt"

// check is an endpoint of the project's own filter that needs neither probes nor polls.
const check = `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]},
	"methods": ["GET", "HEAD"], "headers": [{"name": "x-check", "exact": "1"}],
	"healthy": {"status": 200, "body": "OK", "content_type": "text/plain", "headers": {"cache-control": "no-store"}}}]}`

const untrustedCheck = `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["10.0.0.0/8"]}%s}]}`

func checkRequest(method, path, value string) []Step {
	return []Step{{Request: &Request{Method: method, Path: path, Header: [][2]string{{"x-check", value}}}}}
}

var filterCases = []*Case{
	{Name: "filter healthy", Filter: check, Steps: checkRequest("GET", "/check", "1")},
	{Name: "filter healthy with a query", Filter: check, Steps: checkRequest("GET", "/check?x=1", "1")},
	{Name: "filter head", Filter: check, Steps: checkRequest("HEAD", "/check", "1")},
	{Name: "filter other method", Filter: check, Steps: checkRequest("PUT", "/check", "1")},
	{Name: "filter other path", Filter: check, Steps: checkRequest("GET", "/check/", "1")},
	{Name: "filter other header", Filter: check, Steps: checkRequest("GET", "/check", "2")},
	{Name: "filter untrusted passes", Filter: fmt.Sprintf(untrustedCheck, ""), Steps: get("/check")},
	{Name: "filter untrusted is refused", Filter: fmt.Sprintf(untrustedCheck, `, "untrusted": {"action": "reply", "status": 403}`),
		Steps: get("/check")},
	{Name: "filter forged address", Filter: fmt.Sprintf(untrustedCheck, ""), Steps: []Step{{Request: &Request{Path: "/check",
		Header: [][2]string{{"x-forwarded-for", "10.1.2.3"}}}}}},
	{Name: "filter default reply", Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.0/8"]}}]}`,
		Steps: get("/check")},
	{Name: "filter bad network", Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["10.0.0.0/33"]}}]}`},
	{Name: "filter unknown field", Filter: `{"endpoint": []}`},
}

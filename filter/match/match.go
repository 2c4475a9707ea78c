// Package match finds the endpoint that a request is for.
package match

import (
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/sort"
)

// Request gives the parts of a request that an endpoint may look at.
type Request interface {
	// Header returns a request header or pseudo-header, several values joined with commas.
	Header(name string) (value string, ok bool)
}

// Table finds endpoints by path.
type Table struct {
	endpoints []config.Endpoint
	routes    []route // sorted by the length of the path, then as configured; a look-up in TinyGo's maps allocates
}

// route is one path of one endpoint.
type route struct {
	path     string
	endpoint int
}

// NewTable makes the table of a configuration's endpoints.
func NewTable(endpoints []config.Endpoint) *Table {
	t := &Table{endpoints: endpoints}
	for i := range endpoints {
		for _, path := range endpoints[i].Paths {
			t.routes = append(t.routes, route{path, i})
		}
	}
	sort.Sort(byLength(t.routes))
	return t
}

// byLength sorts routes by the length of their paths, then as configured.
type byLength []route

func (r byLength) Len() int      { return len(r) }
func (r byLength) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r byLength) Less(i, j int) bool {
	return len(r[i].path) < len(r[j].path) || len(r[i].path) == len(r[j].path) && r[i].endpoint < r[j].endpoint
}

// Find returns the index of the first endpoint that the request is for, or -1. path is the request's :path; its
// query is ignored, and nothing in it is decoded: a miss only sends the request on, while a wide match could hide a
// route of the application.
func (t *Table) Find(path string, r Request) int {
	i := t.find(path, r)
	if i < 0 {
		if query := strings.IndexByte(path, '?'); query >= 0 {
			i = t.find(path[:query], r)
		}
	}
	return i
}

// find is Find for a path without a query. It compares lengths first: most paths of the application differ from every
// endpoint's in that.
func (t *Table) find(path string, r Request) int {
	from, to := 0, len(t.routes)
	for from < to {
		if i := (from + to) / 2; len(t.routes[i].path) < len(path) {
			from = i + 1
		} else {
			to = i
		}
	}
	for ; from < len(t.routes) && len(t.routes[from].path) == len(path); from++ {
		if t.routes[from].path == path && accepts(&t.endpoints[t.routes[from].endpoint], r) {
			return t.routes[from].endpoint
		}
	}
	return -1
}

func accepts(e *config.Endpoint, r Request) bool {
	return acceptsMethod(e, r) && acceptsHost(e, r) && acceptsHeaders(e, r)
}

func acceptsMethod(e *config.Endpoint, r Request) bool {
	if len(e.Methods) == 0 {
		return true
	}
	method, _ := r.Header(":method")
	for _, m := range e.Methods {
		if m == method {
			return true
		}
	}
	return false
}

func acceptsHost(e *config.Endpoint, r Request) bool {
	if len(e.Hosts) == 0 {
		return true
	}
	authority, _ := r.Header(":authority")
	authority = ascii.Lower(authority)
	for _, h := range e.Hosts {
		if h == authority || h == withoutPort(authority) {
			return true
		}
	}
	return false
}

// withoutPort drops the port of "host:80" and "[::1]:80", not the end of a bare IPv6 address.
func withoutPort(authority string) string {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 {
		return authority
	}
	host := authority[:colon]
	if strings.HasSuffix(host, "]") || strings.IndexByte(host, ':') < 0 {
		return host
	}
	return authority
}

func acceptsHeaders(e *config.Endpoint, r Request) bool {
	for i := range e.Headers {
		m := &e.Headers[i]
		value, ok := r.Header(m.Name)
		if ok == (m.Kind == config.Absent) {
			return false
		}
		if !accepted(m, value) {
			return false
		}
	}
	return true
}

func accepted(m *config.HeaderMatcher, value string) bool {
	if m.IgnoreCase {
		value = ascii.Lower(value)
	}
	switch m.Kind {
	case config.Exact:
		return value == m.Value
	case config.Prefix:
		return strings.HasPrefix(value, m.Value)
	case config.Suffix:
		return strings.HasSuffix(value, m.Value)
	case config.Contains:
		return ascii.Contains(value, m.Value)
	default:
		return true
	}
}

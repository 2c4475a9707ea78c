package balancer

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/match"
)

// Request is a check as the plugin sees it: names in lower case, pseudo-headers among them.
type Request map[string]string

// Header makes it a match.Request.
func (r Request) Header(name string) (value string, ok bool) {
	value, ok = r[name]
	return value, ok
}

// Read reads a check as it is on the wire.
func Read(wire string) (Request, error) {
	read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		return nil, err
	}
	r := Request{":method": read.Method, ":path": read.RequestURI}
	if read.Host != "" { // with HTTP/1.0 there may be none, and Envoy has one of its own
		r[":authority"] = read.Host
	}
	for name, values := range read.Header {
		r[strings.ToLower(name)] = strings.Join(values, ",")
	}
	delete(r, "connection") // which Envoy takes out
	return r, nil
}

// Miss is why an endpoint does not take a check for one of its own.
type Miss struct {
	Endpoint string   `json:"endpoint"`
	Why      []string `json:"why"`
}

// Misses returns the endpoint that takes the check, and what the others that are before it lack. Trust is not asked.
// Where an endpoint has the path, those that have not are left out.
func Misses(endpoints []config.Endpoint, r Request) (taker *config.Endpoint, misses []Miss) {
	var here, elsewhere []Miss
	for i := range endpoints {
		e := &endpoints[i]
		m := Miss{Endpoint: e.Name}
		alone := func(only config.Endpoint, lack string, args ...any) bool {
			if only.Paths == nil {
				only.Paths = []string{r[":path"]}
			}
			fits := match.NewTable([]config.Endpoint{only}).Find(r[":path"], r) >= 0
			if !fits {
				m.Why = append(m.Why, fmt.Sprintf(lack, args...))
			}
			return fits
		}
		path, _, _ := strings.Cut(r[":path"], "?")
		to := &here
		if !alone(config.Endpoint{Paths: e.Paths}, "the path %s is none of %s", path, strings.Join(e.Paths, ", ")) {
			to = &elsewhere
		}
		alone(config.Endpoint{Methods: e.Methods}, "the method %s is none of %s", r[":method"], strings.Join(e.Methods, ", "))
		host := "the host " + r[":authority"] + " is none of"
		if r[":authority"] == "" {
			host = "the check has no host, and must have one of"
		}
		alone(config.Endpoint{Hosts: e.Hosts}, "%s %s", host, strings.Join(e.Hosts, ", "))
		for _, h := range e.Headers {
			value, has := r[h.Name]
			sent := fmt.Sprintf("the header %s: %s", h.Name, value)
			if !has {
				sent = "the check has no header " + h.Name + ", which"
			}
			alone(config.Endpoint{Headers: []config.HeaderMatcher{h}}, "%s %s", sent, demand(h))
		}
		if len(m.Why) == 0 {
			return e, slices.Clip(here)
		}
		*to = append(*to, m)
	}
	if len(here) > 0 {
		return nil, here
	}
	return nil, elsewhere
}

// demand says what a header must be.
func demand(h config.HeaderMatcher) string {
	switch h.Kind {
	case config.Exact:
		return "must be " + h.Value
	case config.Prefix:
		return "must begin with " + h.Value
	case config.Suffix:
		return "must end with " + h.Value
	case config.Contains:
		return "must contain " + h.Value
	case config.Absent:
		return "must not be there"
	}
	return "must be there"
}

// Trusts reports whether an endpoint trusts the address that a connection comes from; known is false where Envoy takes
// the address from elsewhere.
func Trusts(e *config.Endpoint, source netip.AddrPort) (trusts, known bool) {
	if e.Trusted.Peer == config.PeerFilterState {
		return false, false
	}
	return e.Trusted.Set.ContainsPeer(source.String(), e.Trusted.Peer == config.PeerConnection), true
}

package reach

import (
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// fit is whether a route takes a request of which only the path is known.
type fit int

const (
	no    fit = iota
	maybe     // it asks for more than a path
	yes
)

// fits reports whether a route takes a path. The runtime_fraction of a maintenance route counts as met where its key is on.
func fits(route any, path, on string) fit {
	match := object(route, "match")
	takes := no
	fold := match["case_sensitive"] == false
	same := func(a, b string) bool { return a == b || fold && strings.EqualFold(a, b) }
	begins := func(prefix string) bool { return len(path) >= len(prefix) && same(path[:len(prefix)], prefix) }
	for kind, value := range match {
		s, _ := value.(string)
		switch kind {
		case "path":
			if same(path, s) {
				takes = yes
			}
		case "prefix":
			if begins(s) {
				takes = yes
			}
		case "path_separated_prefix":
			if same(path, s) || begins(s+"/") {
				takes = yes
			}
		case "safe_regex":
			if regexFits(value, path) {
				takes = yes
			}
		case "path_match_policy":
			takes = maybe
		}
	}
	if takes == no {
		return no
	}
	if r, is := switchOf(route); is {
		if r.Key != on {
			return no
		}
	} else if match["runtime_fraction"] != nil {
		takes = maybe
	}
	for _, condition := range append(others, "headers") {
		if match[condition] != nil {
			takes = maybe
		}
	}
	return takes
}

// choose returns the route that takes an endpoint's checks of a path. One that asks for more than a path counts where it
// pleases and the endpoint asks for no less, and where it does not please and may take some of them.
func choose(host any, endpoint *config.Endpoint, path, on string, pleases func(route any) bool) any {
	for _, route := range list(host, "routes") {
		switch fits(route, path, on) {
		case yes:
			return route
		case maybe:
			all, some := takes(route, endpoint, path)
			if all && pleases(route) || some && !pleases(route) {
				return route
			}
		}
	}
	return nil
}

// takes reports whether a route that asks for more than a path takes all checks of an endpoint, or maybe some. Those with
// headers, a query or the like of which the endpoint says nothing are nobody's checks; those without are everybody's.
func takes(route any, endpoint *config.Endpoint, path string) (all, some bool) {
	match := object(route, "match")
	for _, condition := range others {
		if match[condition] != nil && !withoutAny(match[condition]) {
			return false, false
		}
	}
	all, some = headersTake(list(match, "headers"), endpoint, path)
	if _, is := switchOf(route); !is && match["runtime_fraction"] != nil {
		numerator, _ := dump.At(match, "runtime_fraction", "default_value", "numerator").(float64)
		all, some = false, some && numerator > 0
	}
	return all, some
}

// headersTake reports whether conditions on headers are met by all checks of an endpoint, or maybe by some.
func headersTake(headers []any, endpoint *config.Endpoint, path string) (all, some bool) {
	all, some = true, true
	for _, header := range headers {
		invert := dump.At(header, "invert_match") == true
		switch name := strings.ToLower(text(header, "name")); {
		case slices.ContainsFunc(endpoint.Headers, func(h config.HeaderMatcher) bool { return h.Name == name }):
		case name == ":method":
			fit := 0
			for _, method := range endpoint.Methods {
				if stringFits(dump.At(header, "string_match"), method) != invert {
					fit++
				}
			}
			all = all && fit > 0 && fit == len(endpoint.Methods)
			some = some && (fit > 0 || len(endpoint.Methods) == 0)
		case name == ":authority", name == "host":
			all = all && len(endpoint.Hosts) > 0
		case name == ":path":
			if object(header, "string_match") != nil && stringFits(dump.At(header, "string_match"), path) == invert {
				return false, false
			}
		case slices.Contains(everywhere, name):
			all = false
		case !without(header):
			return false, false
		}
	}
	return all, some
}

// everywhere are headers that every request has: it brings them, or Envoy sets them.
var everywhere = []string{":scheme", "x-forwarded-proto", "x-forwarded-for", "x-request-id"}

// without reports whether a condition is met by a request that lacks what it asks for.
func without(condition any) bool {
	invert := dump.At(condition, "invert_match") == true || dump.At(condition, "invert") == true
	if present, is := dump.At(condition, "present_match").(bool); is {
		return present == invert
	}
	if object(condition, "string_match") == nil {
		return invert
	}
	return dump.At(condition, "treat_missing_header_as_empty") == true && stringFits(dump.At(condition, "string_match"), "") != invert
}

// withoutAny reports whether conditions of a kind are met by a request that lacks all that they ask for.
func withoutAny(conditions any) bool {
	all, is := conditions.([]any)
	return is && !slices.ContainsFunc(all, func(c any) bool { return !without(c) }) || dump.At(conditions, "presented") == false
}

// others are conditions of routes, beside a path, headers and a fraction.
var others = []string{"query_parameters", "cookies", "grpc", "tls_context", "dynamic_metadata", "filter_state"}

// hosts returns the virtual hosts that a request for one of these hosts reaches. Without hosts it may come for any. A nil
// among them says that it may reach none.
func hosts(routes any, wanted []string) (out []any) {
	all := list(routes, "virtual_hosts")
	of := func(host string) any {
		var best any
		length := -1
		for _, h := range all {
			for _, d := range list(h, "domains") {
				domain, _ := d.(string)
				if n := domainFits(strings.ToLower(domain), host); n > length {
					best, length = h, n
				}
			}
		}
		return best
	}
	if len(wanted) == 0 {
		if of("") == nil {
			return append([]any{nil}, all...)
		}
		return all
	}
	taken := map[string]bool{}
	for _, host := range wanted {
		h := of(host)
		if name := text(h, "name"); !taken[name] {
			taken[name] = true
			out = append(out, h)
		}
	}
	return out
}

// domainFits returns how well a virtual host's domain fits a host, in Envoy's order: the whole name, the longest suffix, the
// longest prefix, any; -1 when it does not.
func domainFits(domain, host string) int {
	const exact, suffix, prefix = 1 << 20, 1 << 18, 1 << 16
	switch {
	case domain == "*", strings.HasPrefix(domain, "*:"):
		return 0
	case strings.HasPrefix(domain, "*"):
		if len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]) {
			return suffix + len(domain)
		}
	case strings.HasSuffix(domain, "*"):
		if start := strings.TrimSuffix(domain, "*"); len(host) > len(start) && strings.HasPrefix(host, start) {
			return prefix + len(domain)
		}
	default:
		if name, _, _ := strings.Cut(domain, ":"); domain == host || name == host {
			return exact
		}
	}
	return -1
}

// targets returns who answers what a route takes: clusters, or the route itself.
func targets(route any) (out []string) {
	if name := text(route, "route", "cluster"); name != "" {
		out = append(out, name)
	}
	for _, c := range list(route, "route", "weighted_clusters", "clusters") {
		out = append(out, text(c, "name"))
	}
	return out
}

// regexFits reports whether a RegexMatcher matches the whole of a text.
func regexFits(matcher any, s string) bool {
	re, err := regexp.Compile("^(?:" + text(matcher, "regex") + ")$")
	return err == nil && re.MatchString(s)
}

// stringFits reports whether a StringMatcher matches a text.
func stringFits(matcher any, s string) bool {
	for kind, fits := range map[string]func(s, with string) bool{
		"exact": func(s, with string) bool { return s == with }, "prefix": strings.HasPrefix, "suffix": strings.HasSuffix, "contains": strings.Contains,
	} {
		with, is := dump.At(matcher, kind).(string)
		if is && dump.At(matcher, "ignore_case") == true {
			with, s = strings.ToLower(with), strings.ToLower(s)
		}
		if is {
			return fits(s, with)
		}
	}
	return regexFits(dump.At(matcher, "safe_regex"), s)
}

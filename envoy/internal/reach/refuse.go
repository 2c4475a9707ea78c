package reach

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

var httpFilter = regexp.MustCompile(`\.(?:filters\.http|early_header_mutation)\.(\w+)\.`)

// refusing are the filters that never answer a check with a success, and may refuse it or hold it up. Where fields are
// named, they do only where their configuration, or the route's, has one of them.
var refusing = map[string][]string{
	"adaptive_concurrency": nil, "admission_control": nil, "api_key_auth": nil, "basic_auth": nil,
	"credential_injector": nil, "csrf": nil, "dynamic_forward_proxy": nil, "fault": {"delay"},
	"jwt_authn":       {"rules", "filter_state_rules", "requirement_name"},
	"local_ratelimit": {"token_bucket"}, "on_demand": {"odcds"}, "rate_limit_quota": nil, "ratelimit": {"rate_limits"},
	"rbac": {"rules", "matcher"},
}

// refusing reports whether a neighbour is one of these.
func (n *neighbour) refusing() bool {
	_, is := refusing[n.short()]
	return is && n.short() != "fault"
}

// often is why a check that passed is no proof.
var often = unproved{text: ", for it refuses what comes too often"}

// rations reports whether a neighbour refuses what comes too often, so that a check that passed proves nothing.
func (n *neighbour) rations() bool {
	return slices.Contains([]string{"adaptive_concurrency", "admission_control", "local_ratelimit", "rate_limit_quota",
		"ratelimit"}, n.short())
}

// short returns the name of the filter's type among Envoy's; "" for another's.
func (n *neighbour) short() string {
	if m := httpFilter.FindStringSubmatch(n.kind()); m != nil {
		return m[1]
	}
	return ""
}

// mayRefuse reports whether a neighbour in front may refuse checks that a route takes, or hold them up. own are its
// configurations nearer to the route, the nearest first.
func (n *neighbour) mayRefuse(e *Envoy, c *check, host, route any, own ...any) bool {
	fields, is := refusing[n.short()]
	written, err := json.Marshal(append([]any{n.config, dump.At(route, "route")}, own...))
	has := func(field string) bool {
		return err != nil || strings.Contains(string(written), `"`+field+`":`) || list(host, field) != nil
	}
	switch n.short() {
	case "csrf": // looks at what changes something
		return c.endpoint.GRPC || slices.ContainsFunc(c.endpoint.Methods, func(m string) bool {
			return !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, m)
		})
	case "jwt_authn":
		for _, rule := range list(n.config, "rules") {
			switch fits := e.routeFits(map[string]any{"match": dump.At(rule, "match")}, c).fit; {
			case has("requirement_name"), has("filter_state_rules"):
				return true
			case fits == no:
			case fits == yes:
				requires := object(rule, "requires")
				return len(requires) > 0 && requires["allow_missing"] == nil && requires["allow_missing_or_failed"] == nil
			default:
				return true
			}
		}
		return has("requirement_name") || has("filter_state_rules")
	case "rbac":
		rules := object(n.nearest(own), "rules")
		return !allows(rules) && (rules != nil || has("matcher"))
	}
	return is && (fields == nil || slices.ContainsFunc(fields, has))
}

// nearest returns the RBAC that holds for a route.
func (n *neighbour) nearest(own []any) any {
	if i := slices.IndexFunc(own, func(v any) bool { return v != nil }); i >= 0 {
		return dump.At(own[i], "rbac")
	}
	return n.config
}

// refuses reports whether a neighbour in front refuses each check, as its configuration shows: its rules let nobody
// pass.
func (n *neighbour) refuses(own ...any) bool {
	return n.short() == "rbac" && denies(object(n.nearest(own), "rules"))
}

// denies reports whether rules of RBAC let nobody pass.
func denies(rules map[string]any) bool {
	policies := object(rules, "policies")
	if action := text(rules, "action"); action != "DENY" {
		return rules != nil && len(policies) == 0 && (action == "" || action == "ALLOW")
	}
	return anybody(policies)
}

// allows reports whether rules of RBAC let everybody pass.
func allows(rules map[string]any) bool {
	switch policies := object(rules, "policies"); text(rules, "action") {
	case "LOG":
		return true
	case "DENY":
		return len(policies) == 0
	default:
		return anybody(policies)
	}
}

// anybody reports whether a policy is for each request.
func anybody(policies map[string]any) bool {
	for _, policy := range policies {
		all := func(of string) bool {
			return slices.ContainsFunc(list(policy, of), func(v any) bool { return dump.At(v, "any") == true })
		}
		if all("permissions") && all("principals") && len(object(policy)) == 2 {
			return true
		}
	}
	return false
}

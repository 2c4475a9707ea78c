package reach

import (
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// refuses reports whether a neighbour in front refuses each check, as its configuration shows: its rules let nobody
// pass. own are its configurations nearer to the route, the nearest first.
func (n *neighbour) refuses(own ...any) bool {
	if !strings.HasSuffix(n.kind(), ".filters.http.rbac.v3.RBAC") {
		return false
	}
	nearest := n.config
	if i := slices.IndexFunc(own, func(v any) bool { return v != nil }); i >= 0 {
		nearest = dump.At(own[i], "rbac")
	}
	return denies(object(nearest, "rules"))
}

// denies reports whether rules of RBAC let nobody pass.
func denies(rules map[string]any) bool {
	policies := object(rules, "policies")
	if action := text(rules, "action"); action != "DENY" {
		return rules != nil && len(policies) == 0 && (action == "" || action == "ALLOW")
	}
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

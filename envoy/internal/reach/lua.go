package reach

import (
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

func (n *neighbour) isLua() bool { return n.short() == "lua" }

var (
	luaElsewhere = regexp.MustCompile(`\b(require|dofile|loadfile|loadstring|load)\b`)
	luaAnswers   = regexp.MustCompile(`\b(respond|clearRouteCache)\b`)
	luaChange    = regexp.MustCompile(`\b(add|remove|replace)\b`)
	luaName      = regexp.MustCompile(`[.:](add|remove|replace)\(\s*("[^":\\]+"|'[^':\\]+')\s*[,)]`)
	luaDecides   = regexp.MustCompile(`(?i)["'](host|grpc-status|x-healthgate-grpc)["']`)
)

// onlyLooks reports whether Lua's code answers no request, makes no other one of it, and does not have it routed anew;
// with headers, whether it leaves all of them as they are.
func onlyLooks(configs []any, headers bool) bool {
	return seen(configs) && !slices.ContainsFunc(texts(configs), func(code string) bool {
		return luaAnswers.MatchString(code) || luaDecides.MatchString(code) || !namesHeaders(code) ||
			headers && luaChange.MatchString(code)
	})
}

// holds reports whether Lua's code has the answer wait for another service.
func holds(configs []any) bool {
	return slices.ContainsFunc(texts(configs), func(code string) bool {
		return strings.Contains(code, "httpCall") && strings.Contains(code, "envoy_on_response")
	})
}

// leavesStatus reports whether Lua's code leaves the status of answers as it is.
func leavesStatus(configs []any) bool {
	return seen(configs) && !slices.ContainsFunc(texts(configs), func(code string) bool {
		return strings.Contains(code, ":status") || !namesHeaders(code)
	})
}

// namesHeaders reports whether Lua's code writes the name of each header that it changes, in one piece, and none that
// begins with a colon.
func namesHeaders(code string) bool {
	return len(luaChange.FindAllString(code, -1)) == len(luaName.FindAllString(code, -1))
}

// seen reports whether all of Lua's code is in its configuration. Code in a file, or in a variable, is not.
func seen(configs []any) (all bool) {
	all = true
	for _, config := range configs {
		dump.Each(config, func(o map[string]any) bool {
			all = all && o["filename"] == nil && o["environment_variable"] == nil && o["inline_bytes"] == nil
			return all
		})
	}
	return all && !slices.ContainsFunc(texts(configs), luaElsewhere.MatchString)
}

// texts returns all texts in what JSON holds, but for the names of fields.
func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, child := range v {
			out = append(out, texts(child)...)
		}
	case map[string]any:
		for _, child := range v {
			out = append(out, texts(child)...)
		}
	}
	return out
}

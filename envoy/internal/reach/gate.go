package reach

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// filter is one of a plugin's in a chain of HTTP filters. It is made for a request when its gate opens: by route
// where the filter is disabled otherwise, or by a matcher.
type filter struct {
	plugin  *Plugin
	name    string
	byRoute bool
	wasm    map[string]any // its own configuration
	matcher any            // of a gate by matcher, otherwise nil
	action  bool           // the matcher's action is the plugin; otherwise its actions skip the plugin
	inside  string         // the type of a filter that this command does not know, in which the plugin stands
	before  int            // how many neighbours a request meets first
}

const (
	typeWithMatcher = ".common.matching.v3.ExtensionWithMatcher"
	typePerRoute    = ".common.matching.v3.ExtensionWithMatcherPerRoute"
	typeSkip        = ".matcher.action.v3.SkipFilter"
	typeHeaderInput = ".type.matcher.v3.HttpRequestHeaderMatchInput"
)

// filters finds the plugins in one entry of http_filters.
func (r *reader) filters(entry any, listener map[string]any, chain any) (out []*filter) {
	config := r.settings(entry)
	own := filter{name: text(entry, "name"), byRoute: dump.At(entry, "disabled") == true}
	in := config
	switch {
	case is(config, typeWasm):
	case is(config, typeWithMatcher):
		if own.matcher = dump.At(config, "xds_matcher"); own.matcher == nil {
			own.matcher = dump.At(config, "matcher") // its name before
		}
		if in = dump.At(config, "extension_config", "typed_config"); !is(in, typeWasm) {
			in, own.action = own.matcher, true
		}
	default:
		own.inside = cmp.Or(typeName(config), "filter")
	}
	dump.Each(in, func(o map[string]any) bool {
		if !is(o, typeWasm) {
			return true
		}
		if own.plugin = r.plugin(o); own.plugin != nil {
			own.plugin.place(listener, chain)
			f := own
			f.wasm = o
			out = append(out, &f)
		}
		return false
	})
	return out
}

// instances are the filters of one plugin in a chain of HTTP filters: the first that is made for a check answers it.
type instances []*filter

// instances returns checks as the routes of a way in see them, and the filters of a plugin to which they may come, or
// all of them where every gate by matcher keeps checks out; none where the plugin does not stand.
func (d *door) instances(p *Plugin, c *check) (*check, instances) {
	c = d.sees(c)
	shut := func(f *filter) bool { return f.admits(c).fit == no }
	all := slices.DeleteFunc(slices.Clone(d.filters), func(f *filter) bool { return f.plugin != p })
	if out := slices.DeleteFunc(slices.Clone(all), shut); len(out) > 0 {
		return c, out
	}
	return c, all
}

// admits says how many checks the gates by matcher let in.
func (in instances) admits(c *check) judged {
	out := judged{fit: yes}
	for _, f := range in {
		out = out.and(f.admits(c))
	}
	return out
}

// enabled says for how many of the requests that a route takes one of the filters is made.
func (in instances) enabled(routes, host, route any) (out fit) {
	for _, f := range in {
		out = max(out, f.enabled(routes, host, route))
	}
	return out
}

// at returns the filter that answers what a route takes.
func (in instances) at(routes, host, route any) *filter {
	i := slices.IndexFunc(in, func(f *filter) bool { return f.enabled(routes, host, route) != no })
	return in[max(i, 0)]
}

// byRoute reports whether no filter is made unless a route enables it.
func (in instances) byRoute() bool {
	return !slices.ContainsFunc(in, func(f *filter) bool { return !f.byRoute })
}

// settings returns the configuration of an entry of http_filters, which may come by ECDS.
func (r *reader) settings(entry any) any {
	found := r.found(entry)
	name, awaited := text(entry, "name"), found == nil && dump.At(entry, "config_discovery") != nil
	if awaited && !slices.Contains(r.awaited, name) {
		r.awaited = append(r.awaited, name)
	}
	return found
}

// found returns the configuration of a filter, as far as it has come.
func (r *reader) found(entry any) any {
	if dump.At(entry, "config_discovery") == nil {
		return dump.At(entry, "typed_config")
	}
	if found := r.discovered[text(entry, "name")]; found != nil {
		return found
	}
	return dump.At(entry, "config_discovery", "default_config")
}

// admits says how many checks the gate by matcher lets in; all of them without such a gate.
func (f *filter) admits(c *check) judged {
	switch {
	case f.inside != "":
		return notKnown("it stands inside a %s, which this command does not know", f.inside)
	case f.restricted() != "":
		return notKnown("%s", f.restricted())
	case f.failsOpen():
		return notKnown("its failure_policy is FAIL_OPEN: after a crash its checks go on to the application")
	case f.matcher == nil:
		return judged{fit: yes}
	}
	return c.matcherFits(f.matcher, f.does, fitIf(!f.action))
}

func (f *filter) failsOpen() bool {
	return text(f.wasm, "config", "failure_policy") == "FAIL_OPEN" || dump.At(f.wasm, "config", "fail_open") == true
}

// mayShut says that a gate's matcher may keep checks out.
func (d *door) mayShut(c *check, admits judged) Gap {
	return c.doubt("%s: whether the plugin gets the checks of %s is not known: %s", d.where, c.path, admits.why)
}

// does says how many checks an action of the gate's matcher lets in.
func (f *filter) does(action any) judged {
	config := dump.At(action, "typed_config")
	if !f.action {
		if is(config, typeSkip) {
			return judged{fit: no}
		}
		return notKnown("its action %s, which this command does not know", typeName(config))
	}
	found := false
	dump.Each(config, func(o map[string]any) bool {
		found = found || reflect.DeepEqual(o, f.wasm)
		return !found
	})
	if found && dump.At(config, "sample_percent") != nil {
		return notKnown("its sample_percent")
	}
	return fitIf(found)
}

// matcherFits says for how many checks a Matcher (xds.type.matcher.v3) takes an action that does something; otherwise
// is what is done where nothing matches.
func (c *check) matcherFits(matcher any, does func(action any) judged, otherwise judged) judged {
	for _, name := range slices.Sorted(maps.Keys(object(matcher))) {
		if !slices.Contains([]string{"matcher_list", "matcher_tree", "on_no_match"}, name) {
			return notKnown("a matcher with %s, which this command does not know", name)
		}
	}
	on := func(match any) judged {
		switch o := object(match); {
		case len(o) == 1 && o["action"] != nil:
			return does(o["action"])
		case len(o) == 1 && o["matcher"] != nil:
			return c.matcherFits(o["matcher"], does, otherwise)
		}
		return notKnown("an on_match that this command does not know")
	}
	var kinds []judged // what becomes of the checks that a predicate takes, or may take
	var doubt judged
	end := func(last ...judged) judged {
		out := alike(append(kinds, last...))
		if out.fit == some && doubt.fit == unknown {
			return doubt
		}
		return out
	}
	for _, m := range list(matcher, "matcher_list", "matchers") {
		fits := c.predicateFits(dump.At(m, "predicate"))
		if fits.fit == no {
			continue
		}
		kinds = append(kinds, on(dump.At(m, "on_match")))
		switch fits.fit {
		case yes:
			return end()
		case unknown:
			doubt = fits
		}
	}
	left := true // checks for which nothing matched yet
	if tree := object(matcher, "matcher_tree"); tree != nil {
		taken, known := c.branch(tree)
		if known.fit == unknown {
			return known
		}
		left = false
		for _, match := range taken {
			if match == nil {
				left = true
			} else {
				kinds = append(kinds, on(match))
			}
		}
	}
	switch match := dump.At(matcher, "on_no_match"); {
	case !left:
		return end()
	case match != nil:
		return end(on(match))
	}
	return end(otherwise)
}

// branch returns the branches of a matcher_tree that checks take; nil for none of its own.
func (c *check) branch(tree map[string]any) (taken []any, known judged) {
	name, fits := input(dump.At(tree, "input"))
	if fits.fit == unknown {
		return nil, fits
	}
	values, is := c.header(name)
	if !is {
		return nil, c.unsaid(name)
	}
	exact, prefix := object(tree, "exact_match_map", "map"), object(tree, "prefix_match_map", "map")
	if exact == nil && prefix == nil || len(tree) != 2 {
		return nil, notKnown("a matcher_tree that this command does not know")
	}
	if len(values) == 0 {
		return []any{nil}, judged{}
	}
	for _, value := range values {
		match, longest := exact[value], -1
		for begin, m := range prefix {
			if strings.HasPrefix(value, begin) && len(begin) > longest {
				match, longest = m, len(begin)
			}
		}
		taken = append(taken, match)
	}
	return taken, judged{}
}

// predicateFits says how many checks a Predicate of a Matcher takes.
func (c *check) predicateFits(predicate any) judged {
	o := object(predicate)
	if len(o) != 1 {
		return notKnown("a predicate that this command does not know")
	}
	var all []judged
	switch {
	case o["single_predicate"] != nil:
		return c.singleFits(object(o, "single_predicate"))
	case o["not_matcher"] != nil:
		return c.predicateFits(o["not_matcher"]).inverted()
	case o["or_matcher"] != nil:
		for _, p := range list(o, "or_matcher", "predicate") {
			all = append(all, c.predicateFits(p))
		}
		return anyOf(all)
	case o["and_matcher"] != nil:
		out := judged{fit: yes}
		for _, p := range list(o, "and_matcher", "predicate") {
			out = out.and(c.predicateFits(p))
		}
		return out
	}
	return notKnown("a predicate that this command does not know")
}

func (c *check) singleFits(single map[string]any) judged {
	name, known := input(single["input"])
	switch {
	case known.fit == unknown:
		return known
	case single["value_match"] == nil || len(single) != 2:
		return notKnown("a predicate that this command does not know")
	}
	fits, _ := c.textFits(name, single["value_match"])
	return fits
}

// input returns the name of the header that is a matcher's input.
func input(input any) (string, judged) {
	config := dump.At(input, "typed_config")
	name := strings.ToLower(text(config, "header_name"))
	if !is(config, typeHeaderInput) || name == "" {
		return "", notKnown("its input %s, which this command does not know", typeName(config))
	}
	return name, judged{}
}

// typeName returns the name of a message's type, without its package.
func typeName(message any) string {
	name := text(message, "@type")
	if inner := text(message, "type_url"); inner != "" { // of a TypedStruct
		name = inner
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

package config

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/trust"
	"github.com/valyala/fastjson"
)

// endpointReader reads endpoints, and knows what they refer to.
type endpointReader struct {
	*decoder
	config *Config
	node   Node
	keys   map[string]int // index of each expanded key in config.Keys
	cidrs  int            // how many so far, over all endpoints
}

func (r *endpointReader) endpoint(v *fastjson.Value, place string) {
	if len(r.config.Endpoints) == MaxEndpoints {
		r.fail(place, "there are more than "+strconv.Itoa(MaxEndpoints)+" endpoints")
		return
	}
	o := r.object(v, place)
	e := Endpoint{
		Name:    o.name(),
		Kind:    KindHealthCheck,
		Paths:   o.strings("paths", func(s, place string) { r.requestPath(s, place, false) }),
		Methods: []string{"GET", "HEAD", "OPTIONS"},
		Hosts:   o.strings("hosts", r.host),
		Trusted: r.trusted(o),
		Untrusted: r.reply(o, replyRules{
			field: "untrusted", mayPass: true, passByDefault: true,
			defaults: Reply{Status: 403}, contentType: "text/plain",
		}),
	}
	if o.oneOf("kind", "health_check", "status") == "status" {
		e.Kind, e.Methods = KindStatus, []string{"GET", "HEAD"}
		for _, field := range []string{"healthy", "unhealthy", "unknown", "maintenance", "probes"} {
			if o.has(field) {
				r.fail(o.at(field), `is not for an endpoint of kind "status"`)
			}
		}
	} else {
		r.healthCheck(o, &e)
	}
	if o.has("methods") {
		e.Methods = o.strings("methods", r.token)
	}
	o.list("headers", func(v *fastjson.Value, place string) { e.Headers = append(e.Headers, r.header(v, place)) })
	o.done()
	if len(e.Paths) == 0 {
		r.fail(o.at("paths"), "is required, with at least one path")
	}
	for i, h := range e.Hosts {
		e.Hosts[i] = strings.ToLower(h)
	}
	for _, other := range r.config.Endpoints {
		if other.Name == e.Name {
			r.fail(o.at("name"), quote(e.Name)+" is the name of another endpoint")
		}
	}
	r.config.Endpoints = append(r.config.Endpoints, e)
}

// healthCheck reads what only an endpoint of kind "health_check" has.
func (r *endpointReader) healthCheck(o *object, e *Endpoint) {
	e.Healthy = r.reply(o, replyRules{
		field: "healthy", mayPass: true,
		defaults: Reply{Status: 200}, contentType: "text/html",
	})
	e.Unhealthy = r.reply(o, replyRules{
		field: "unhealthy", mayUseProbe: true,
		defaults: Reply{ProbeStatus: true, Status: 503, Body: "FAILED"}, contentType: "text/plain",
	})
	e.Unknown = r.reply(o, replyRules{
		field:    "unknown",
		defaults: Reply{Status: 503, Body: "UNKNOWN"}, contentType: "text/plain",
	})
	e.Maintenance = r.maintenance(o)
	e.Probes = r.policy(o)
}

func (r *endpointReader) host(s, place string) {
	if strings.ContainsAny(s, "*/ ") {
		r.fail(place, quote(s)+" is not a host name; wildcards are not supported")
	}
	r.fieldValue(s, place)
}

func (r *endpointReader) header(v *fastjson.Value, place string) HeaderMatcher {
	o := r.object(v, place)
	name := o.needStr("name")
	r.token(name, o.at("name"))
	m := HeaderMatcher{Name: strings.ToLower(name), IgnoreCase: o.boolean("ignore_case")}
	given := 0
	for kind, field := range []string{Exact: "exact", Prefix: "prefix", Suffix: "suffix", Contains: "contains"} {
		if !o.has(field) {
			continue
		}
		given++
		m.Kind, m.Value = MatchKind(kind), o.str(field, "")
		if m.Value == "" && m.Kind != Exact {
			r.fail(o.at(field), "must not be empty")
		}
	}
	if o.has("present_match") {
		given++
		if m.Kind = Absent; o.boolean("present_match") {
			m.Kind = Present
		}
	}
	if m.IgnoreCase {
		m.Value = strings.ToLower(m.Value)
	}
	o.done()
	if given != 1 {
		r.fail(place, "needs exactly one of exact, prefix, suffix, contains and present_match")
	}
	return m
}

func (r *endpointReader) trusted(endpoint *object) Trusted {
	v := endpoint.need("trusted")
	if v == nil {
		return Trusted{}
	}
	o := r.object(v, endpoint.at("trusted"))
	var cidrs []trust.CIDR
	given := o.each("cidrs", func(v *fastjson.Value, i int) {
		if r.cidrs++; r.cidrs > MaxCIDRs {
			r.fail(index(o.at("cidrs"), i), "there are more than "+strconv.Itoa(MaxCIDRs)+" CIDRs")
			return
		}
		cidr, ok := trust.ParseCIDR(string(v.GetStringBytes()))
		if !ok {
			place := index(o.at("cidrs"), i)
			r.fail(place, quote(r.str(v, place))+" is not a CIDR")
		}
		cidrs = append(cidrs, cidr)
	})
	given += len(o.strings("providers", func(s, place string) {
		ranges := trust.Provider(s)
		if ranges == nil {
			r.fail(place, quote(s)+" is not one of "+strings.Join(trust.Providers(), ", "))
		}
		cidrs = append(cidrs, ranges...)
	}))
	t := Trusted{}
	switch v := o.take("peer"); {
	case v == nil:
	case v.Type() == fastjson.TypeObject:
		p := r.object(v, o.at("peer"))
		t.Peer, t.FilterState = PeerFilterState, p.needStr("filter_state")
		p.done()
	case r.str(v, o.at("peer")) == "forwarded":
		t.Peer = PeerForwarded
	case r.str(v, o.at("peer")) != "connection":
		r.fail(o.at("peer"), v.String()+` is not "connection", "forwarded" or {"filter_state": KEY}`)
	}
	o.done()
	if given == 0 {
		r.fail(o.place, "trusts no one; give cidrs or providers")
	}
	if r.err == nil {
		t.Set = trust.NewSet(cidrs)
	}
	return t
}

func (r *endpointReader) maintenance(endpoint *object) Maintenance {
	m := Maintenance{Reply: Reply{
		Status:  503,
		Body:    "Under maintenance. Remove maintenance file when complete",
		Headers: [][2]string{{"content-type", "text/plain"}},
	}}
	v := endpoint.take("maintenance")
	if v == nil {
		return m
	}
	o := r.object(v, endpoint.at("maintenance"))
	o.strings("keys", func(s, place string) {
		if r.config.Admin == nil {
			r.fail(o.at("keys"), "needs the admin section, through which runtime keys are read")
			return
		}
		key, empty := r.expand(s, place)
		if empty != "" {
			r.config.Warnings = append(r.config.Warnings,
				place+": "+quote(s)+" is ignored: this Envoy's node has no "+empty)
			return
		}
		i, known := r.keys[key]
		if !known {
			i = len(r.config.Keys)
			r.keys[key] = i
			r.config.Keys = append(r.config.Keys, key)
		}
		m.Keys = append(m.Keys, i)
	})
	m.RouteMetadata = o.boolean("route_metadata")
	m.Reply = r.replyFields(o, m.Reply, replyRules{contentType: "text/plain"})
	o.done()
	return m
}

// expand replaces the placeholders in a key. empty names the node's value that is missing, if one is.
func (r *endpointReader) expand(key, place string) (expanded, empty string) {
	var out strings.Builder
	for rest := key; rest != ""; {
		open, shut := strings.IndexByte(rest, '{'), strings.IndexByte(rest, '}')
		if open < 0 && shut < 0 {
			out.WriteString(rest)
			break
		}
		if open < 0 || shut < open {
			r.fail(place, quote(key)+" has a brace without its partner")
			return "", ""
		}
		out.WriteString(rest[:open])
		name, value := rest[open+1:shut], ""
		switch name {
		case "node_id":
			value = r.node.ID
		case "cluster":
			value = r.node.Cluster
		case "region":
			value = r.node.Region
		case "zone":
			value = r.node.Zone
		default:
			r.fail(place, quote(rest[open:shut+1])+" is not one of {node_id}, {cluster}, {region}, {zone}")
			return "", ""
		}
		if value == "" && empty == "" {
			empty = name
		}
		out.WriteString(value)
		rest = rest[shut+1:]
	}
	return out.String(), empty
}

func (r *endpointReader) policy(endpoint *object) Policy {
	v := endpoint.take("probes")
	if v == nil {
		return Policy{}
	}
	o := r.object(v, endpoint.at("probes"))
	p := Policy{}
	o.strings("names", func(s, place string) {
		for i := range r.config.Probes {
			if r.config.Probes[i].Name == s {
				p.Names = append(p.Names, i)
				return
			}
		}
		r.fail(place, quote(s)+" is not the name of a probe")
	})
	if len(p.Names) == 0 {
		r.fail(o.at("names"), "is required, with at least one probe")
	}
	p.Need = len(p.Names)
	if v := o.fields["policy"]; v != nil && v.Type() == fastjson.TypeObject {
		a := r.object(o.take("policy"), o.at("policy"))
		if v := a.need("at_least"); v != nil && len(p.Names) > 0 {
			p.Need = int(r.integer(v, a.at("at_least"), 1, uint32(len(p.Names))))
		}
		a.done()
	} else if o.oneOf("policy", "all", "any") == "any" {
		p.Need = 1
	}
	o.done()
	return p
}

package config

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/json"
	"github.com/healthgate/healthgate/filter/lean/texts"
	"github.com/healthgate/healthgate/filter/trust"
)

// endpointReader reads endpoints, and knows what they refer to.
type endpointReader struct {
	*decoder
	config *Config
	node   Node
	keys   texts.List // config.Keys
	cidrs  int        // how many so far, over all endpoints
}

func (r *endpointReader) endpoint(v json.Value, place string) {
	if len(r.config.Endpoints) == MaxEndpoints {
		r.fail(place, "there are more than "+strconv.Itoa(MaxEndpoints)+" endpoints")
		return
	}
	untrusted := local(UntrustedStatus, "", DefaultType)
	untrusted.Pass = true
	o := r.object(v, place)
	e := Endpoint{
		Name:      o.name(),
		Kind:      KindHealthCheck,
		Methods:   DefaultMethods,
		Hosts:     o.strings("hosts", checkHost),
		Trusted:   r.trusted(o),
		Untrusted: o.reply("untrusted", true, untrusted),
	}
	if o.choose("kind", "health_check", "status") {
		e.Kind, e.Methods = KindStatus, e.Methods[:2]
		o.refuse("grpc healthy unhealthy draining unknown maintenance probes degraded",
			`is not for an endpoint of kind "status"`)
	} else {
		if o.kind("grpc") == json.Object {
			g := o.sub("grpc")
			if e.Services = g.strings("services", checkService); len(e.Services) == 0 {
				g.fail("services", "is required, with at least one service")
			}
			g.done()
			e.GRPC = true
		} else {
			e.GRPC = o.boolean("grpc")
		}
		if e.GRPC {
			o.refuse("paths methods healthy unhealthy draining unknown degraded", notGRPC)
			e.Paths, e.Methods = []string{GRPCCheck, GRPCWatch}, []string{"POST"}
			e.Headers = []HeaderMatcher{{Name: "content-type", Kind: Prefix, Value: "application/grpc"}}
		}
		r.healthCheck(o, &e)
	}
	if o.has("paths") {
		e.Paths = o.strings("paths", checkPath)
	}
	if o.has("methods") {
		e.Methods = o.strings("methods", checkToken)
	}
	for l := o.list("headers"); l.next(); {
		m := r.header(l.value, l.place())
		if m.Kind != Absent {
			text, what := neverHeader(&m)
			r.config.warn(l.place(), text, what)
		}
		e.Headers = append(e.Headers, m)
	}
	o.done()
	if len(e.Paths) == 0 {
		o.fail("paths", "is required, with at least one path")
	}
	r.config.warnEach(o.at("paths"), e.Paths, neverPath)
	r.config.warnEach(o.at("methods"), e.Methods, neverMethod)
	r.config.warnEach(o.at("hosts"), e.Hosts, neverHost)
	for i, h := range e.Hosts {
		e.Hosts[i] = ascii.Lower(h)
	}
	for i := range r.config.Endpoints {
		if r.config.Endpoints[i].Name == e.Name {
			o.relates("name", quote(e.Name)+" is the name of another endpoint")
		}
	}
	r.config.Endpoints = append(r.config.Endpoints, e)
}

// failing is what an endpoint replies when not all is well, unless it says otherwise.
func failing(e *Endpoint, body string) Reply {
	if e.GRPC {
		return Reply{Status: HealthyStatus, Body: NotServing}
	}
	return local(FailingStatus, body, DefaultType)
}

// healthCheck reads what only an endpoint of kind "health_check" has.
func (r *endpointReader) healthCheck(o *object, e *Endpoint) {
	healthy := local(HealthyStatus, "", HealthyType)
	if e.GRPC {
		healthy.Body, healthy.Headers = Serving, nil
	}
	e.Healthy = o.reply("healthy", true, healthy)
	e.Unhealthy = failing(e, UnhealthyBody)
	e.Unhealthy.ProbeStatus = !e.GRPC
	e.Unhealthy = o.reply("unhealthy", false, e.Unhealthy)
	e.Draining = o.reply("draining", false, failing(e, DrainingBody))
	e.Unknown = o.reply("unknown", false, failing(e, UnknownBody))
	r.maintenance(o, e)
	e.Probes = r.policy(o)
	if d := o.sub("degraded"); d != nil {
		if e.Healthy.Pass {
			o.relates("degraded", `replaces no answer: the action of healthy is "pass"`)
		}
		e.Degraded = Degraded{r.probes(d, "probes"), e.Healthy}
		d.replyFields(&e.Degraded.Reply)
		d.done()
	}
}

func (r *endpointReader) header(v json.Value, place string) HeaderMatcher {
	o := r.object(v, place)
	name := o.needStr("name")
	o.fail("name", checkToken(name))
	m := HeaderMatcher{Name: ascii.Lower(name), IgnoreCase: o.boolean("ignore_case")}
	if m.Name == "host" {
		m.Name = ":authority" // what Envoy makes of it
	}
	given := 0
	for kind, field := range []string{Exact: "exact", Prefix: "prefix", Suffix: "suffix", Contains: "contains"} {
		if !o.has(field) {
			continue
		}
		given++
		m.Kind, m.Value = MatchKind(kind), o.str(field, "")
		if m.Value == "" && m.Kind != Exact {
			o.fail(field, "must not be empty")
		}
	}
	if o.has("present_match") {
		given++
		if m.Kind = Absent; o.boolean("present_match") {
			m.Kind = Present
		}
	}
	if m.IgnoreCase {
		m.Value = ascii.Lower(m.Value)
	}
	o.done()
	if given != 1 {
		r.fail(place, "needs exactly one of exact, prefix, suffix, contains and present_match")
	}
	return m
}

func (r *endpointReader) trusted(endpoint *object) (t Trusted) {
	o := endpoint.sub("trusted")
	if o == nil {
		endpoint.fail("trusted", "is required")
		return t
	}
	var cidrs []trust.CIDR
	for l := o.list("cidrs"); l.next(); {
		if r.cidrs++; r.cidrs > MaxCIDRs {
			r.failAs(Relation, l.place(), "there are more than "+strconv.Itoa(MaxCIDRs)+" CIDRs")
			break
		}
		text, _ := l.value.Text()
		cidr, ok := trust.ParseCIDR(text)
		if !ok {
			r.failAs(Relation, l.place(), quote(l.str())+" is not a CIDR")
		}
		cidrs = append(cidrs, cidr)
	}
	for i, name := range o.strings("providers", noCheck) {
		ranges := trust.Provider(name)
		if ranges == nil {
			r.fail(index(o.at("providers"), i), quote(name)+" is not one of "+ascii.Join(trust.Providers(), ", "))
		}
		cidrs = append(cidrs, ranges...)
	}
	t.Pipe = o.boolean("pipe")
	if len(cidrs) == 0 && !t.Pipe {
		r.fail(o.place, "trusts no one; give cidrs, providers or pipe: true")
	}
	switch o.kind("peer") {
	case json.Absent:
	case json.Object:
		p := o.sub("peer")
		t.Peer, t.FilterState = PeerFilterState, p.needStr("filter_state")
		p.done()
	default:
		switch peer := o.str("peer", ""); peer {
		case "connection":
		case "forwarded":
			t.Peer = PeerForwarded
		default:
			o.fail("peer", quote(peer)+` is not "connection", "forwarded" or {"filter_state": KEY}`)
		}
	}
	o.done()
	if len(r.errs) == 0 {
		t.Set = trust.NewSet(cidrs)
	}
	return t
}

func noCheck(string) (wrong string) { return "" }

func (r *endpointReader) maintenance(endpoint *object, e *Endpoint) {
	m := &e.Maintenance
	m.Reply = failing(e, MaintenanceBody)
	o := endpoint.sub("maintenance")
	if o == nil {
		return
	}
	keys := o.strings("keys", checkKey)
	if len(keys) > MaxKeys {
		o.fail("keys", "there are more than "+strconv.Itoa(MaxKeys)+" keys")
	}
	if len(keys) > 0 && r.config.Admin == nil {
		o.relates("keys", "needs the admin section, through which runtime keys are read")
	}
	for n, text := range keys[:min(len(keys), MaxKeys)] {
		if len(text) > MaxKeyBytes {
			continue // too long to expand
		}
		place := index(o.at("keys"), n)
		key, empty := r.expand(text, place)
		if len(key) > MaxExpandedBytes {
			r.failAs(Relation, place,
				quote(text)+" is longer than "+strconv.Itoa(MaxExpandedBytes)+" bytes with the node's values in it")
		}
		if empty != "" {
			r.config.warn(place, text, " is ignored: this Envoy's node has no "+empty)
			continue
		}
		i, isNew := r.keys.Add(key)
		if isNew {
			r.config.Keys = append(r.config.Keys, key)
		}
		m.Keys = append(m.Keys, i)
	}
	m.RouteMetadata = o.boolean("route_metadata")
	if e.GRPC {
		o.refuseRest(notGRPC)
	} else {
		o.replyFields(&m.Reply)
	}
	o.done()
}

// expand replaces the placeholders in a key. empty names the node's value that is missing, if one is.
func (r *endpointReader) expand(key, place string) (expanded, empty string) {
	for rest := key; rest != ""; {
		open, shut := strings.IndexByte(rest, '{'), strings.IndexByte(rest, '}')
		if open < 0 && shut < 0 {
			return expanded + rest, empty
		}
		if open < 0 || shut < open {
			r.fail(place, quote(key)+" has a brace without its partner")
			return "", ""
		}
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
		expanded += rest[:open] + value
		rest = rest[shut+1:]
	}
	return expanded, empty
}

func (r *endpointReader) policy(endpoint *object) (p Policy) {
	o := endpoint.sub("probes")
	if o == nil {
		return p
	}
	p.Names = r.probes(o, "names")
	p.Need = len(p.Names)
	if o.kind("policy") == json.Object {
		a := o.sub("policy")
		a.needs("at_least")
		before := len(r.errs)
		p.Need = int(a.integer("at_least", 1, uint32(max(len(p.Names), 1)), 0))
		if len(r.errs) > before { // how high it may be depends on the names
			r.errs[before].Kind = Relation
		}
		a.done()
	} else if o.choose("policy", "all", "any") {
		p.Need = 1
	}
	o.done()
	return p
}

// probes reads a list of the names of probes, as their indexes.
func (r *endpointReader) probes(o *object, field string) (out []int) {
	for i, name := range o.strings(field, noCheck) {
		probe := r.probeNamed(name)
		if probe < 0 {
			r.failAs(Relation, index(o.at(field), i), quote(name)+" is not the name of a probe")
		}
		out = append(out, probe)
	}
	if len(out) == 0 {
		o.fail(field, "is required, with at least one probe")
	}
	return out
}

// probeNamed returns the index of a probe, -1 if there is none of this name.
func (r *endpointReader) probeNamed(name string) int {
	for i := range r.config.Probes {
		if r.config.Probes[i].Name == name {
			return i
		}
	}
	return -1
}

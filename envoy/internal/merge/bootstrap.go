package merge

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// admin sees to it that the filter reaches admin, or does without what it needs it for.
func (m *merger) admin() error {
	section := m.d.Config.Admin
	there := m.root().get("admin", "address")
	var err error
	switch {
	case there.is():
		if there.text("socket_address", "address")+there.text("pipe", "path") == "" {
			return there.problem(there.n, "admin has no address that a cluster could lead to; give it one")
		}
		if there.text("socket_address", "port_value") == "0" {
			return there.problem(there.n,
				"admin has a port of the system's choice (0), so no cluster can lead to it; give it one")
		}
		if m.Admin == "" {
			break
		}
		given, err := render.Address("admin", m.Admin)
		if err != nil {
			return err
		}
		if bound(there) != bound(cursor{source: m.bootstrap, n: given}) {
			return there.problem(there.n, "admin has another address than --admin %s; change it here, or leave that out",
				m.Admin)
		}
	case m.Admin != "":
		if m.adminAddress, err = render.Address("admin", m.Admin); err != nil {
			return err
		}
		if section := m.root().get("admin"); section.is() {
			section.put("address", m.bootstrap.spelt(m.adminAddress))
		} else {
			m.root().put("admin", m.bootstrap.spelt(mapping("address", m.adminAddress)))
		}
	case section != nil:
		m.warn(m.root(), nil,
			"there is no admin, so nobody reads keys or sees that Envoy drains: what %s says of admin and of "+
				"maintenance.keys is left out; --admin %s adds one", m.d.File, render.DefaultAdmin)
		places := []string{"admin"}
		for i := range m.d.Config.Endpoints {
			places = append(places, fmt.Sprintf("endpoints[%d].maintenance.keys", i))
		}
		m.d, err = m.d.Without(places...)
		return err
	}
	if section == nil {
		return nil
	}
	m.shown(section)
	if c := m.cluster(section.Cluster); c.is() {
		if !m.ofAdmin(section.Cluster, false) {
			return c.problem(c.n, "the cluster %q, which is admin.cluster in %s, is not known to lead to admin: "+
				"give it admin's address, or take it out to have it made", section.Cluster, m.d.File)
		}
		return nil
	}
	for _, c := range m.clusters {
		if name := c.text("name"); m.ofAdmin(name, false) {
			m.d, err = m.d.With(map[string]string{"admin.cluster": name})
			return err
		}
	}
	m.made = append(m.made, m.bootstrap.spelt(render.AdminCluster(section.Cluster, m.adminAddress)))
	return nil
}

// shown has admin show what the plugin asks it for.
func (m *merger) shown(section *config.Admin) {
	admin := m.root().get("admin")
	list := admin.get("allow_paths")
	there := list.list()
	if len(there) == 0 { // it shows all
		return
	}
	shows := func(asked string) bool {
		return slices.ContainsFunc(there, func(p cursor) bool { return p.text("exact") == asked }) || passes(there, asked)
	}
	reads := slices.ContainsFunc(m.d.Config.Probes, func(p config.Probe) bool { return p.OfEnvoy() })
	odd := slices.IndexFunc(there, func(p cursor) bool { return !p.get("exact").is() && !p.get("prefix").is() })
	for _, need := range []struct {
		path, how string
		needed    bool
	}{{"/runtime?", "prefix", true}, {"/ready", "exact", !section.IgnoreDraining}, {"/stats?", "prefix", reads}} {
		path := strings.TrimSuffix(need.path, "?")
		switch {
		case !need.needed || shows(need.path):
		case odd >= 0:
			m.warn(there[odd], there[odd].n, "whether admin shows %s is not known; without it, checks get 503", path)
		default:
			m.changed(list, list.n, "admin does not show %s, and without it checks get 503", path)
			admin.add("allow_paths", mapping(need.how, text(path)))
		}
	}
}

// reachable returns the address to which a cluster may lead for one that listens.
func reachable(address cursor) *yaml.Node {
	if !address.is() {
		return nil
	}
	out := clone(address.n)
	if socket := find(out, "socket_address"); socket != nil {
		host := find(socket, "address")
		if host == nil {
			return out
		}
		if ip, err := netip.ParseAddr(host.Value); err == nil && ip.IsUnspecified() {
			host.Value = map[bool]string{true: "127.0.0.1", false: "::1"}[ip.Is4()]
		}
	}
	return out
}

// cluster finds a cluster in the files.
func (m *merger) cluster(name string) cursor {
	for _, c := range m.clusters {
		if c.text("name") == name {
			return c
		}
	}
	return cursor{}
}

// families are the addresses of localhost by the dns_lookup_family of a cluster; by another one it may be either.
var families = map[string]string{"V4_ONLY": "127.0.0.1:", "V6_ONLY": "[::1]:"}

// ofAdmin reports whether a cluster is known to lead to admin, or else may, by localhost.
func (m *merger) ofAdmin(name string, may bool) bool {
	admin := m.root().get("admin", "address")
	if !admin.is() {
		admin = cursor{source: m.bootstrap, n: m.adminAddress}
	}
	c := m.cluster(name)
	all := hosts(c)
	return len(all) > 0 && !slices.ContainsFunc(all, func(at string) bool {
		both := admin.text("socket_address", "ipv4_compat") == "true"
		reached := leads(at, bound(admin), both)
		for family, ip := range families {
			reached = reached || (may || c.text("dns_lookup_family") == family) &&
				leads(strings.Replace(at, "localhost:", ip, 1), bound(admin), both)
		}
		return !reached
	})
}

// leads reports whether who connects to an address of this machine reaches who listens at another one, and there by
// IPv4 besides IPv6 where it is for both.
func leads(at, listens string, both bool) bool {
	to, notTo := netip.ParseAddrPort(at)
	l, notL := netip.ParseAddrPort(listens)
	if notTo != nil || notL != nil {
		return at == listens && at != ""
	}
	a, on := to.Addr(), l.Addr()
	return to == l || to.Port() == l.Port() && (a == netip.IPv6Loopback() && on == netip.IPv6Unspecified() ||
		a.Is4() && a.IsLoopback() && (on == netip.IPv4Unspecified() || both && on == netip.IPv6Unspecified()))
}

// hosts returns where the hosts of a cluster are.
func hosts(cluster cursor) (out []string) {
	for _, group := range cluster.list("load_assignment", "endpoints") {
		for _, host := range group.list("lb_endpoints") {
			out = append(out, bound(host.get("endpoint", "address")))
		}
	}
	return out
}

// probed sees to it that the clusters of the probes are there, and carry nothing else.
func (m *merger) probed() error {
	if err := render.CheckProtocols(m.d); err != nil {
		return err
	}
	given := map[string]*yaml.Node{}
	for _, option := range m.Clusters {
		n, name, err := render.NewCluster(m.d, option)
		if err != nil {
			return err
		}
		n = m.bootstrap.spelt(n)
		c := m.cluster(name)
		if c.is() && !slices.Equal(hosts(c), hosts(cursor{source: m.bootstrap, n: n})) {
			return c.problem(c.n, "the cluster %q has other hosts than --cluster %s; change them here, or leave that out",
				name, option)
		}
		if !c.is() {
			given[name] = n
			m.made = append(m.made, n)
		}
	}
	values := map[string]string{}
	copied := map[string]bool{}
	for i, p := range m.d.Config.Probes {
		place := fmt.Sprintf("probes[%d].cluster", i)
		c := m.cluster(p.Cluster)
		switch cds := m.root().get("dynamic_resources", "cds_config"); {
		case p.OfEnvoy(), given[p.Cluster] != nil:
		case !c.is() && cds.is() && !m.resources["Cluster"]:
			m.warn(cds, cds.n, "whether there is a cluster %q for probes is not known: clusters come by cds_config", p.Cluster)
		case !c.is():
			return m.d.Problem(place, fmt.Sprintf("%s has no cluster %q; name one that is there, or give its address: "+
				"--cluster %s", m.bootstrap.Name, p.Cluster, document.Shell(p.Cluster+"=HOST:PORT")))
		case p.GRPC && !speaksHTTP2(c):
			return m.d.Problem(place,
				fmt.Sprintf("the cluster %q of %s speaks HTTP/1, and gRPC needs HTTP/2; name another one, "+
					"or give its address: --cluster NAME=HOST:PORT", p.Cluster, m.bootstrap.Name))
		case m.carries(p.Cluster):
			own := render.OwnPrefix + p.Cluster
			if m.judging && !m.cluster(own).is() {
				continue // it works, and is another's warning
			}
			values[place] = own
			if !copied[own] {
				copied[own] = true
				m.copyFor(c, own)
			}
			if c.source != m.bootstrap && len(hosts(c)) > 0 {
				m.note(c, c.n, "the cluster %q may change here, and %q, its copy for probes, does not change with it: merge "+
					"again then", p.Cluster, own)
			}
		default:
			if of := m.cluster(strings.TrimPrefix(p.Cluster, render.OwnPrefix)); m.strays(c, of) {
				m.warn(c, c.n, "the cluster %q leads elsewhere, or in another way, than %q: probes may not ask what serves users",
					p.Cluster, of.text("name"))
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	var err error
	m.d, err = m.d.With(values)
	return err
}

// speaksHTTP2 reports whether a cluster's connections are of HTTP/2 (HttpProtocolOptions, and the field before it).
func speaksHTTP2(c cursor) bool {
	const options = "http2_protocol_options"
	speaks := c.get(options).is()
	for _, extension := range document.Fields(c.get("typed_extension_protocol_options").n) {
		speaks = speaks || c.follow(extension).get("explicit_http_config", options).is()
	}
	return speaks
}

// carries reports whether a route leads users' requests to a cluster.
func (m *merger) carries(name string) bool {
	for _, h := range m.all {
		for _, host := range m.hosts(h) {
			for _, r := range host.list("routes") {
				if slices.Contains(targets(r), name) {
					return true
				}
			}
		}
	}
	return false
}

// copyFor makes the copy of a cluster for probes, in the place of one that leads elsewhere.
func (m *merger) copyFor(c cursor, name string) {
	there, made := m.cluster(name), m.own(c, name)
	if !there.is() {
		m.made = append(m.made, made)
		return
	}
	if !m.strays(there, c) {
		return
	}
	m.changed(there, there.n, "the cluster %q leads elsewhere, or in another way, than %q, of which it is the copy for "+
		"probes", name, c.text("name"))
	if !m.judging {
		m.note(there, there.n, "the cluster %q is made anew as %q is now, and changes of its own are lost: for these, have "+
			"probes name a cluster with another name", name, c.text("name"))
	}
	list := there.parents[there.n]
	if list == nil || list.Kind != yaml.SequenceNode { // of a resource in a wrapper, or what an alias stands for
		there.unfit = there.problem(there.n, "this copy of %q leads elsewhere, or in another way; take it out, and merge "+
			"again", c.text("name"))
		return
	}
	if kind := find(there.n, "@type"); kind != nil {
		made.Content = slices.Insert(made.Content, 0, text("@type"), clone(kind))
	}
	i := slices.Index(list.Content, there.n)
	there.insert(list, i, made)
	there.remove(list, i)
}

// strays reports whether a copy of a cluster is not what one is that is made now.
func (m *merger) strays(c, of cursor) bool {
	return of.is() && !reflect.DeepEqual(plain(m.own(c, "")), plain(m.own(of, "")))
}

// own returns a copy of a cluster for the probes alone: nothing ejects its hosts, and no limit that is full of requests
// fails probes.
func (m *merger) own(c cursor, name string) *yaml.Node {
	out := mapping()
	out.HeadComment = "# As the cluster " + document.Shell(c.text("name")) + ", for the probes of healthgate alone."
	for field, value := range document.Fields(clone(c.n)) {
		switch snakeCase(field.Value) {
		case "@type", "outlier_detection", "health_checks", "circuit_breakers", "alt_stat_name":
			continue
		case "name":
			value = text(name)
		case "load_assignment":
			if of := find(value, "cluster_name"); of != nil {
				*of = *text(name)
			}
		case "eds_cluster_config":
			if find(value, "service_name") == nil {
				value.Content = append(value.Content, text(c.spell("service_name")), text(c.text("name")))
			}
		}
		out.Content = append(out.Content, field, value)
	}
	return out
}

// addTo adds elements to lists in a section of the bootstrap, none of which need be there. A section is added to once.
func (m *merger) addTo(section string, lists *yaml.Node) {
	there, made := m.root().get(section), mapping()
	for name, list := range document.Fields(lists) {
		switch {
		case len(list.Content) == 0:
		case there.is():
			there.add(name.Value, list.Content...)
		default:
			made.Content = append(made.Content, text(m.bootstrap.spell(name.Value)), list)
		}
	}
	if len(made.Content) > 0 {
		m.root().put(section, made)
	}
}

// tags adds what turns parts of metric names into labels, and lets the metrics pass.
func (m *merger) tags() {
	var missing []*yaml.Node
	for _, tag := range m.pieces.Tags.Content {
		there := false
		for _, t := range m.root().list("stats_config", "stats_tags") {
			there = there || t.text("tag_name") == find(tag, "tag_name").Value && t.text("regex") == find(tag, "regex").Value
		}
		if !there {
			missing = append(missing, m.bootstrap.spelt(tag))
		}
	}
	if len(missing) > 0 && m.judging {
		m.warn(m.root(), m.root().get("stats_config").n, "stats_config.stats_tags lacks labels of the plugin's metrics")
	}
	m.addTo("stats_config", mapping("stats_tags", listOf(missing...)))
	matcher := m.root().get("stats_config", "stats_matcher")
	var unread []string // by probes
	for _, p := range m.d.Config.Probes {
		for _, name := range slices.Concat(p.Stats, []string{p.Witness}) {
			if matcher.is() && name != "" && !slices.Contains(unread, name) && reach.Hides(asLists(plain(matcher.n)), name) {
				unread = append(unread, name)
			}
		}
	}
	if len(unread) > 0 && !matcher.get("inclusion_list").is() && !m.judging { // else it is a fault
		m.warn(matcher, matcher.n, "stats_matcher leaves out what probes read, so they have no result: let %s pass",
			strings.Join(unread, " and "))
	}
	switch {
	case matcher.text("reject_all") == "true":
		m.warn(matcher, matcher.n, "stats_matcher rejects all: the plugin has no metrics")
	case matcher.get("exclusion_list").is():
		m.warn(matcher, matcher.n,
			"stats_matcher has an exclusion_list: see that it lets wasmcustom.healthgate_ and wasm.healthgate. pass")
	case matcher.get("inclusion_list").is():
		list := matcher.get("inclusion_list")
		var patterns []*yaml.Node
		for _, prefix := range []string{"wasmcustom.healthgate_", "wasm.healthgate.", "listener_manager.", "overload."} {
			if !passes(list.list("patterns"), prefix) {
				patterns = append(patterns, mapping("prefix", text(prefix)))
			}
		}
		if reach.Hides(asLists(plain(matcher.n)), "http.any.downstream_rq_active") {
			patterns = append(patterns, mapping("suffix", text(".downstream_rq_active")))
		}
		if len(patterns) > 0 {
			m.changed(list, list.n, "stats_matcher leaves out metrics of the plugin, or of Envoy, that healthgate goes by")
		}
		if len(unread) > 0 {
			m.changed(list, list.n, "stats_matcher leaves out what probes read: %s", strings.Join(unread, " and "))
		}
		for _, name := range unread {
			patterns = append(patterns, mapping("exact", text(name)))
		}
		if len(patterns) > 0 {
			list.add("patterns", patterns...)
		}
	}
}

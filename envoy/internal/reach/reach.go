// Package reach says, by an Envoy's configuration, which health checks reach healthgate and what reaches healthgate's
// maintenance: where the plugin stands, what gets past it, which keys and routes switch it.
//
// Read takes the document of /config_dump. Of what it returns,
//
//   - Plugins are the configurations of healthgate, each with the places where it stands;
//   - Gaps are the ways past it: a listener, a filter chain or a virtual host where a check of an endpoint's path is
//     answered by somebody else, or may be: a doubt is where this command does not know;
//   - Faults keep the plugin from knowing what it needs, such as a cluster that is not there;
//   - Keys, Readers and KeyGaps say which maintenance keys there are, which endpoints one switches, and which of their
//     checks it does not; Routes, RouteReaders and RouteGaps say the same of the keys of maintenance routes;
//   - Layers are those of runtime, and NoMetrics is why the plugin's metrics are missing.
//
// All of it holds for what the configuration says. Only a check says what a check gets.
package reach

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Envoy is what is known of one Envoy.
type Envoy struct {
	Plugins []*Plugin
	Layers  []Layer // of runtime, a later one wins
	// Unreadable says of filters that look like healthgate why their configuration can't be read, as one of a later
	// version.
	Unreadable []string
	// Runtime is what runtime says now; nil when that is not known.
	Runtime *admin.Runtime
	// Answered is which endpoints have answered a check since Envoy began; false for one whose checks all came from
	// addresses that it does not trust. It is nil when that is not known.
	Answered map[string]bool
	// Fresh are those that answered one while this command looked.
	Fresh map[string]bool
	// Reloaded is whether something came by xDS again: then what came within a minute need not be what Envoy began with.
	Reloaded bool
	// Begun is when it loaded its bootstrap, to the millisecond; empty when that is not known.
	Begun string
	// Own are addresses of its machine, besides loopback, as far as they are known.
	Own []netip.Addr
	// Dynamic is whether listeners come by LDS, and may be replaced while connections stay.
	Dynamic bool
	// Overloads are the metrics that tell whether it refuses connections or requests.
	Overloads []string
	// Drain is how many earlier listeners, which drain, are read like others: those that have no plugin.
	Drain int

	admin        string   // where its own admin listens; empty when that is no TCP port
	refused      []string // what of its control plane's updates it did not take
	secrets      []string // that have not arrived by SDS
	awaited      []string // filters whose configuration by ECDS has not arrived
	undiscovered []string // listeners whose filter chains come by FCDS, which are not read
	doors        []*door
	clusters     map[string][]string // their hosts, as far as they are known, and the clusters in them
	choosing     map[string]string   // clusters whose hosts are chosen for each request, and by what
	statsMatcher any
	updated      map[string]string // when listeners, routes and filters, by kind and name, came by xDS
}

// Plugin is one configuration of healthgate in one VM.
type Plugin struct {
	Config *config.Config
	Places []Place

	vm any // its configuration
}

// Mixes reports whether another plugin sets metrics that tell something else by the same names: of its endpoints, or
// of a record that is not one with this plugin's.
func (p *Plugin) Mixes(other *Plugin) bool {
	if p == other {
		return false
	}
	return p.Config.Fingerprint != other.Config.Fingerprint || !reflect.DeepEqual(p.vm, other.vm) ||
		slices.ContainsFunc(p.Config.Endpoints, func(e config.Endpoint) bool { return other.HealthCheck(e.Name) != nil })
}

// Place is a listener in which a plugin stands.
type Place struct {
	Listener map[string]any // as JSON holds it
	Address  string         // HOST:PORT; empty when it has none
	Chains   []any          // its filter chains in which the plugin stands
}

// TLS reports whether each of the plugin's filter chains there takes connections by TLS alone.
func (p *Place) TLS() bool {
	return len(p.Chains) > 0 && !slices.ContainsFunc(p.Chains, func(chain any) bool { return !encrypts(chain) })
}

// ServerName is one that a client has to name, where each of the plugin's filter chains there is for some of them.
func (p *Place) ServerName() (name string) {
	for _, chain := range p.Chains {
		names := list(chain, "filter_chain_match", "server_names")
		if len(names) == 0 {
			return ""
		}
		name = fmt.Sprint(names[0])
	}
	return name
}

// At reports whether one of the plugin's listeners has the port of a URL.
func (p *Plugin) At(u *url.URL) bool {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return slices.ContainsFunc(p.Places, func(place Place) bool { return strings.HasSuffix(place.Address, ":"+port) })
}

// Kind is where a runtime layer's keys come from.
type Kind string

// The kinds of layers, by the names that Envoy's configuration gives them.
const (
	Static Kind = "static_layer"
	Disk   Kind = "disk_layer"
	RTDS   Kind = "rtds_layer"
	Admin  Kind = "admin_layer"
)

// twice stands for the routes of a name by which two sources have others.
const twice = "twice"

// sheds are actions of the overload manager that refuse.
var sheds = regexp.MustCompile(`stop_accepting|reject_incoming|load_shed_points`)

const (
	typeListeners = ".ListenersConfigDump"
	typeClusters  = ".ClustersConfigDump"
	typeHosts     = ".EndpointsConfigDump"
	typeRoutes    = ".RoutesConfigDump"
	typeSecrets   = ".SecretsConfigDump"
	typeECDS      = ".EcdsConfigDump"
	typeBootstrap = ".BootstrapConfigDump"
	typeWasm      = ".filters.http.wasm.v3.Wasm"
	typeTCP       = ".tcp_proxy.v3.TcpProxy"
	typeDirect    = ".filters.network.direct_response.v3.Config"
	typeManager   = ".http_connection_manager.v3.HttpConnectionManager"
)

// Process tells one Envoy from another, whatever address it was asked at: its node and when it began; empty when that
// is not known.
func (e *Envoy) Process(node config.Node) string {
	if e.Begun == "" {
		return ""
	}
	return fmt.Sprintf("%+v, %s", node, e.Begun)
}

// Read reads the document of /config_dump. The node's values stand for the placeholders in keys; runtime is nil where
// it is not known.
func Read(envoy any, node config.Node, runtime *admin.Runtime) *Envoy {
	untyped(envoy)
	e := &Envoy{Runtime: runtime, clusters: map[string][]string{}, choosing: map[string]string{},
		updated: map[string]string{}}
	r := reader{Envoy: e, node: node, discovered: map[string]any{}, routes: map[string]any{}, known: map[string]*Plugin{}}
	var listeners []map[string]any
	for _, part := range list(envoy, "configs") {
		switch {
		case is(part, typeBootstrap):
			e.Layers, e.Begun = layers(dump.At(part, "bootstrap"), node), text(part, "last_updated")
			e.statsMatcher = dump.At(part, "bootstrap", "stats_config", "stats_matcher")
			e.owns(dump.At(part, "bootstrap", "admin"))
			e.admin = socketAddress(dump.At(part, "bootstrap", "admin"))
			overload := dump.At(part, "bootstrap", "overload_manager")
			for _, by := range append(list(overload, "actions"), list(overload, "loadshed_points")...) {
				if name := text(by, "name"); sheds.MatchString(name) {
					e.Overloads = append(e.Overloads, "overload."+name+".scale_percent")
				}
			}
		case is(part, typeClusters):
			for _, c := range append(list(part, "static_clusters"), list(part, "dynamic_active_clusters")...) {
				name := text(c, "cluster", "name")
				e.clusters[name] = append(e.clusters[name], addresses(dump.At(c, "cluster", "load_assignment"))...)
				if by := chooses(dump.At(c, "cluster")); by != "" {
					e.choosing[name] = by
				}
				for _, of := range list(c, "cluster", "cluster_type", "typed_config", "clusters") { // an aggregate, or a composite
					inner, is := of.(string)
					if !is {
						inner = text(of, "name")
					}
					e.clusters[name] = append(e.clusters[name], inner)
				}
			}
		case is(part, typeHosts):
			for _, c := range append(list(part, "static_endpoint_configs"), list(part, "dynamic_endpoint_configs")...) {
				name := text(c, "endpoint_config", "cluster_name")
				e.clusters[name] = append(e.clusters[name], addresses(dump.At(c, "endpoint_config"))...)
			}
		case is(part, typeListeners):
			for _, l := range list(part, "static_listeners") {
				listeners = append(listeners, object(l, "listener"))
			}
			e.Dynamic = len(list(part, "dynamic_listeners")) > 0
			for _, l := range list(part, "dynamic_listeners") { // a warming one takes no connection
				e.refuses("listener", text(l, "name"), l)
				listeners = append(listeners, object(l, "active_state", "listener"))
				e.updated["listener "+nameOf(dump.At(l, "active_state", "listener"))] = text(l, "active_state", "last_updated")
				if old := object(l, "draining_state", "listener"); old != nil && !runsWasm(old) {
					drains := maps.Clone(old)
					drains["name"] = text(old, "name") + ", as it drains"
					e.Drain++
					listeners = append(listeners, drains)
				}
			}
		case is(part, typeSecrets):
			for _, s := range list(part, "dynamic_warming_secrets") {
				e.secrets = append(e.secrets, text(s, "name"))
			}
		case is(part, typeRoutes):
			for _, c := range list(part, "static_route_configs") {
				r.routes[text(c, "route_config", "name")] = dump.At(c, "route_config")
			}
			discovered := map[string]any{}
			for _, c := range list(part, "dynamic_route_configs") {
				name, own := text(c, "route_config", "name"), dump.At(c, "route_config")
				e.refuses("route configuration", name, c)
				e.updated["routes "+name] = text(c, "last_updated")
				if other := discovered[name]; other != nil && !reflect.DeepEqual(other, own) {
					own = map[string]any{twice: true}
				}
				discovered[name], r.routes[name] = own, own
			}
		case is(part, typeECDS):
			for _, f := range list(part, "ecds_filters") {
				name, own := text(f, "ecds_filter", "name"), dump.At(f, "ecds_filter", "typed_config")
				e.refuses("filter", name, f)
				e.updated["filter "+name] = text(f, "last_updated")
				if other := r.discovered[name]; other != nil && runsWasm(own) && !reflect.DeepEqual(other, own) {
					e.Unreadable = append(e.Unreadable, fmt.Sprintf("the filter %q has two configurations by ECDS, from two "+
						"sources, and which one is where is not known", name))
				}
				r.discovered[name] = own
			}
		}
	}
	sidecar := slices.ContainsFunc(listeners,
		func(l map[string]any) bool { return text(l, "traffic_direction") == "INBOUND" })
	for _, l := range listeners {
		e.owns(l)
		for _, more := range list(l, "additional_addresses") {
			e.owns(more)
		}
		r.listener(l, sidecar && text(l, "traffic_direction") == "OUTBOUND")
	}
	return e
}

// Discovered returns how many routes and filters came by xDS.
func (e *Envoy) Discovered() (n int) {
	for of := range e.updated {
		if !strings.HasPrefix(of, "listener ") {
			n++
		}
	}
	return n
}

// Updated reports whether a listener, routes or a filter came by xDS since an earlier reading.
func (e *Envoy) Updated(since *Envoy) bool { return !maps.Equal(e.updated, since.updated) }

// runsWasm reports whether a listener may have a plugin. What drains and has none answers the checks of connections
// that were made before.
func runsWasm(listener any) (found bool) {
	dump.Each(listener, func(o map[string]any) bool {
		found = found || is(o, typeWasm) || o["config_discovery"] != nil
		return !found
	})
	return found
}

// addresses returns the addresses of a cluster's hosts, in a ClusterLoadAssignment.
func addresses(hosts any) (out []string) {
	dump.Each(hosts, func(v map[string]any) bool {
		if address := socketAddress(v); address != "" {
			out = append(out, address)
		} else if of := dump.At(v, "address"); dump.At(of, "envoy_internal_address") != nil {
			out = append(out, fmt.Sprint(of))
		} else if socket := text(of, "pipe", "path"); socket != "" {
			out = append(out, "unix:"+path.Clean(socket))
		}
		return true
	})
	return out
}

// owns takes the address at which something of Envoy's listens for one of its machine.
func (e *Envoy) owns(listens any) {
	if ip, err := netip.ParseAddr(text(listens, "address", "socket_address", "address")); err == nil {
		e.Own = append(e.Own, ip.Unmap())
	}
}

// chooses says by what a cluster chooses the host of a request; "" where its hosts are in the configuration, or the
// address that the client connected to.
func chooses(cluster any) string {
	switch by := object(cluster, "original_dst_lb_config"); {
	case len(by) > 0:
		return "its original_dst_lb_config"
	case is(dump.At(cluster, "cluster_type", "typed_config"), ".dynamic_forward_proxy.v3.ClusterConfig"):
		return hostRewrite
	}
	return ""
}

// hostRewrite begins the fields by which a route or a filter chooses the host of a dynamic forward proxy. Without them
// it is the one that the client names.
const hostRewrite = "host_rewrite"

// choosesHost reports whether a route leads to a cluster that chooses its host for each request.
func (e *Envoy) choosesHost(route any) bool {
	return slices.ContainsFunc(targets(route), func(name string) bool {
		return slices.ContainsFunc(e.members(name), func(of string) bool {
			by, is := e.choosing[of]
			if by == hostRewrite {
				written, err := json.Marshal(route)
				return err != nil || bytes.Contains(written, []byte(hostRewrite))
			}
			return is
		})
	})
}

// plugin returns the healthgate that a Wasm filter is: the plugin's reader takes its configuration.
func (r *reader) plugin(wasm map[string]any) *Plugin {
	var written []byte
	switch value := dump.At(wasm, "config", "configuration", "value").(type) {
	case string: // google.protobuf.StringValue, as Istio writes it, or BytesValue
		if written = []byte(value); is(dump.At(wasm, "config", "configuration"), ".BytesValue") {
			// Malformed base64 gives an empty configuration, which is refused.
			written, _ = base64.StdEncoding.DecodeString(value)
		}
	case map[string]any: // google.protobuf.Struct
		var err error
		if written, err = json.Marshal(value); err != nil {
			return nil
		}
	}
	identity := text(wasm, "config", "vm_config", "vm_id") + "\n" + string(written)
	if p := r.known[identity]; p != nil {
		return p
	}
	c, err := config.Parse(written, r.node)
	if err != nil {
		what := fmt.Sprintf("a Wasm filter that looks like healthgate has a configuration that this command does not know; "+
			"is the plugin of a later version? %v", err)
		if len(r.discovered) > 0 { // of which the last is shown, whether Envoy took it or not
			what += "; if it came by ECDS and Envoy refused it, as extension_config_discovery.….config_fail counts, " +
				"an earlier one goes on answering"
		}
		if bytes.Contains(written, []byte(`"endpoints"`)) && !slices.Contains(r.Unreadable, what) {
			r.Unreadable = append(r.Unreadable, what)
		}
		return nil
	}
	p := &Plugin{Config: c, vm: dump.At(wasm, "config", "vm_config")}
	r.known[identity] = p
	r.Plugins = append(r.Plugins, p)
	return p
}

func (p *Plugin) place(listener map[string]any, chain any) {
	i := slices.IndexFunc(p.Places, func(o Place) bool { return nameOf(o.Listener) == nameOf(listener) })
	if i < 0 {
		i = len(p.Places)
		p.Places = append(p.Places, Place{Listener: listener, Address: socketAddress(listener)})
	}
	p.Places[i].Chains = append(p.Places[i].Chains, chain)
}

// nameOf names a listener, by its address where it has no name.
func nameOf(listener any) string { return cmp.Or(text(listener, "name"), socketAddress(listener)) }

// HealthCheck returns the configuration of a health check; nil when there is none of the name.
func (p *Plugin) HealthCheck(name string) *config.Endpoint {
	for i := range p.Config.Endpoints {
		if e := &p.Config.Endpoints[i]; e.Name == name && e.Kind == config.KindHealthCheck {
			return e
		}
	}
	return nil
}

// Listeners names the listeners in which the plugin stands.
func (p *Plugin) Listeners() string {
	var names []string
	for _, place := range p.Places {
		names = append(names, nameOf(place.Listener))
	}
	return strings.Join(names, ", ")
}

// members returns a cluster, its hosts, and those of the clusters in it.
func (e *Envoy) members(cluster string) (out []string) {
	out = []string{cluster}
	for i := 0; i < len(out); i++ {
		for _, of := range e.clusters[out[i]] {
			if of = e.here(of); !slices.Contains(out, of) {
				out = append(out, of)
			}
		}
	}
	return out
}

var list, text, object, targets = dump.List, dump.Text, dump.Object, dump.Targets

// is reports whether a message has the type with this ending.
func is(v any, ending string) bool { return strings.HasSuffix(text(v, "@type"), ending) }

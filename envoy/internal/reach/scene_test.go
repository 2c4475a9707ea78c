package reach

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// pieces are what the lines of a scene name, and around is what each configuration has beside its listeners.
const (
	pieces = `
settings: {endpoints: [{name: e, paths: [/a], trusted: {cidrs: [10.0.0.0/8]}, probes: {names: [p]},
    maintenance: {keys: [k, "z.{zone}"], route_metadata: true}},
  {name: other, paths: [/o], trusted: {cidrs: [10.0.0.0/8]}}],
  probes: [{name: p, cluster: probes, path: /p}], admin: {cluster: adm}}
gated: {name: hg, disabled: true}
always: {name: hg}
router: {name: router, typed_config: {"@type": x.extensions.filters.http.router.v3.Router}}
throw: {match: {path: /a, runtime_fraction: {runtime_key: by, default_value: {}}}, route: {cluster: app},
  metadata: {filter_metadata: {healthgate: {maintenance: true}}}, typed_per_filter_config: {hg: {}}}
gate: {match: {path: /a}, typed_per_filter_config: {hg: {}}, route: {cluster: app}}
other: {match: {path: /o}, typed_per_filter_config: {hg: {}}, route: {cluster: app}}
rest: {match: {prefix: /}, route: {cluster: app}}`

	place = `{endpoints: [{lb_endpoints:
      [{endpoint: {address: {socket_address: {address: 10.0.0.8, port_value: 80}}}}]}]}`
	socket = `{endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: /app.sock}}}}]}]}`
	around = `configs:
- {"@type": x.BootstrapConfigDump, last_updated: "2026-11-29T00:00:00Z", bootstrap: {node: {cluster: shop},
    admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}},
    static_resources: {listeners: [{name: twice, filter_chains: [{}]}]}, layered_runtime: {layers: [
      {name: base, static_layer: {}},
      {name: disk, disk_layer: {symlink_root: /r, append_service_cluster: true, subdirectory: s}},
      {name: slashes, disk_layer: {symlink_root: /r, subdirectory: /a//b/}},
      {name: rtds, rtds_layer: {name: keys,
        rtds_config: {path_config_source: {path: /rtds.yaml, watched_directory: {path: /elsewhere}}}}},
      {name: hand, admin_layer: {}}]}}}
- {"@type": x.ClustersConfigDump, dynamic_active_clusters: [{cluster: {name: probes}}], static_clusters: [
    {cluster: {name: aggregate, cluster_type: {typed_config: {clusters: [adm, app]}}}},
    {cluster: {name: composite, cluster_type: {typed_config: {clusters: [{name: aggregate}]}}}},
    {cluster: {name: socket, load_assignment: ` + socket + `}},
    {cluster: {name: again-socket, load_assignment: ` + socket + `}},
    {cluster: {name: front, load_assignment: {endpoints: [{lb_endpoints:
      [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}}]}]}}},
    {cluster: {name: local, load_assignment: {endpoints: [{lb_endpoints:
      [{endpoint: {address: {socket_address: {address: "::1", port_value: 8070}}}}]}]}}},
    {cluster: {name: all, load_assignment: {endpoints: [{lb_endpoints:
      [{endpoint: {address: {socket_address: {address: 0.0.0.0, port_value: 8070}}}}]}]}}},
    {cluster: {name: adm}}, {cluster: {name: app, load_assignment: ` + place + `}},
    {cluster: {name: again, load_assignment: ` + place + `}}]}
- {"@type": x.EndpointsConfigDump, dynamic_endpoint_configs: [{endpoint_config: {cluster_name: eds, endpoints: [
    {lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.8, port_value: 80}}}}]}]}}]}
`
)

// A scene is written as a line for each part of Envoy's listeners:
//
//	listener NAME, chain, default-chain, tcp, direct   a listener, and its filter chains where it has more than one
//	network {…}                                a network filter before the TCP proxy
//	network-ecds NAME                          the network filter before comes by ECDS
//	cluster {…}, own ADDRESS                   one more cluster; an address of the machine
//	typed                                      each message in listeners as a TypedStruct with fields in camelCase
//	filter gated|always, filter {…}            an HTTP filter; gated and always are healthgate's
//	endpoint, another, settings                change its endpoint e, give it one more, or change what it has beside them
//	refused NAME {…}                           the error_state of an update of a listener
//	updated TIME                               the listener before came by LDS
//	drains                                     the listener before is an earlier one that drains
//	ecds [awaited]                             the filter before comes by ECDS, or has not come yet
//	inside, bytes                              it stands inside another filter; its configuration is a BytesValue
//	matcher [skipping] {…}                     the filter before has a gate by matcher, see matchers.txt
//	manager {…}                                more of the HTTP connection manager
//	host DOMAIN, then routes                   a virtual host; rds: the same by RDS
//	vhost_header NAME                          more of the routes; answered NAME, untrusted NAME: to which endpoint
//	                                           checks have come; without a line, that is not known;
//	                                           fresh NAME: one has while it was looked
//	reloaded                                   something came by xDS again
//	service-cluster NAME                       the flag of Envoy's
//	stats {…}                                  the stats_matcher
//	runtime KEY VALUE                          in the layer hand; without a line, runtime is empty; no-runtime: not known
//
// A mapping behind any of them adds fields, or replaces them.
type scene struct {
	t                                     *testing.T
	pieces                                map[string]any
	listeners, ecds, draining, rds        []any
	listener, chain, manager, host, hosts map[string]any
	filter, settings                      map[string]any
	runtime                               *admin.Runtime
	stats                                 map[string]any
	answered, fresh                       map[string]bool
	cluster, own                          string
	clusters                              []any
	typed, reloaded                       bool
}

type obj = map[string]any

func (s *scene) parse(text string) (out obj) {
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return out
}

// piece returns a new copy of a piece.
func (s *scene) piece(name string) (out obj) {
	text, err := json.Marshal(s.pieces[name])
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil || out == nil {
		s.t.Fatalf("%q is no piece: %v", name, err)
	}
	return out
}

func add(to obj, name string, v any) {
	of, _ := to[name].([]any)
	to[name] = append(of, v)
}

// play reads the Envoy of a block.
func play(t *testing.T, d *datadriven.TestData) *Envoy {
	s := &scene{t: t,
		runtime: &admin.Runtime{Layers: []string{"hand"}, Entries: map[string]admin.Entry{}}}
	s.pieces = s.parse(pieces)
	for line := range strings.Lines(d.Input) {
		s.line(strings.TrimSpace(line))
	}
	return s.read()
}

func (s *scene) line(line string) {
	head, mapping, more := line, "", obj{}
	if i := strings.Index(line, "{"); i >= 0 {
		head, mapping = strings.TrimSpace(line[:i]), line[i:]
		more = s.parse(mapping)
	}
	word, name, _ := strings.Cut(head, " ")
	switch word {
	case "runtime":
		key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, word)), " ")
		s.runtime.Entries[key] = admin.Entry{Value: value, Layers: []string{value}}
	case "service-cluster":
		s.cluster = name
	case "no-runtime":
		s.runtime = nil
	case "answered":
		s.answered = map[string]bool{name: true}
	case "fresh":
		s.fresh = map[string]bool{name: true}
	case "reloaded":
		s.reloaded = true
	case "untrusted":
		s.answered = map[string]bool{name: false}
	case "vhost_header":
		s.hosts[word] = name
	case "listener":
		s.listener = s.parse(`{name: ` + name + `, address: {socket_address: {address: 10.0.0.7, port_value: 80}}}`)
		maps.Copy(s.listener, more)
		s.listeners = append(s.listeners, obj{"listener": s.listener})
		s.chain = nil
	case "chain", "default-chain":
		s.chain = more
		if s.manager = nil; word == "chain" {
			add(s.listener, "filter_chains", s.chain)
		} else {
			s.listener["default_filter_chain"] = s.chain
		}
	case "tcp", "network":
		if s.chain == nil || s.manager != nil {
			s.chain, s.manager = obj{}, nil
			add(s.listener, "filter_chains", s.chain)
		}
		add(s.chain, "filters", obj{"typed_config": more})
		if word == "tcp" {
			more["@type"] = "x.tcp_proxy.v3.TcpProxy"
			s.chain = nil
		}
	case "network-ecds":
		chains := s.listener["filter_chains"].([]any)
		filters := chains[len(chains)-1].(obj)["filters"].([]any)
		last := filters[len(filters)-1].(obj)
		more["ecds_filter"] = obj{"name": name, "typed_config": last["typed_config"]}
		s.ecds = append(s.ecds, more)
		filters[len(filters)-1] = obj{"name": name, "config_discovery": obj{}}
	case "cluster":
		s.clusters = append(s.clusters, obj{"cluster": more})
	case "own":
		s.own = name
	case "typed":
		s.typed = true
	case "direct":
		add(s.listener, "filter_chains", obj{"filters": []any{obj{"typed_config": obj{
			"@type": "x.filters.network.direct_response.v3.Config"}}}})
	case "filter":
		s.http()
		if s.filter = more; name != "" {
			s.filter = s.piece(name)
			maps.Copy(s.filter, more)
			s.settings = s.piece("settings")
			s.filter["typed_config"] = s.wasm()
		}
		filters := s.manager["http_filters"].([]any)
		s.manager["http_filters"] = append(filters[:len(filters)-1], s.filter, s.piece("router"))
	case "refused":
		s.draining = append(s.draining, obj{"name": name, "error_state": more, "active_state": more["active_state"]})
	case "updated":
		s.draining = append(s.draining, obj{"active_state": obj{"last_updated": name, "listener": s.listener}})
		s.listeners = s.listeners[:len(s.listeners)-1]
	case "drains":
		s.draining = append(s.draining, obj{"draining_state": s.listeners[len(s.listeners)-1]})
		s.listeners = s.listeners[:len(s.listeners)-1]
	case "ecds":
		more["ecds_filter"] = obj{"name": s.filter["name"], "typed_config": s.filter["typed_config"]}
		s.ecds = append(s.ecds, more)
		if s.filter["config_discovery"] = (obj{}); name == "awaited" {
			s.ecds = nil
		}
		delete(s.filter, "typed_config")
	case "endpoint":
		maps.Copy(s.settings["endpoints"].([]any)[0].(obj), more)
	case "another":
		s.settings["endpoints"] = append([]any{more}, s.settings["endpoints"].([]any)...)
	case "settings":
		maps.Copy(s.settings, more)
	case "matcher":
		s.gateBy(name, more)
	case "inside":
		s.filter["typed_config"] = obj{"@type": "x.acme.Wrapper", "filters": []any{s.filter["typed_config"]}}
	case "config": // of the plugin, beside its configuration
		maps.Copy(s.filter["typed_config"].(obj)["config"].(obj), more)
	case "bytes":
		text, err := json.Marshal(s.settings)
		if err != nil {
			s.t.Fatal(err)
		}
		s.filter["typed_config"].(obj)["config"] = obj{"failure_policy": "FAIL_RELOAD", "configuration": obj{
			"@type": "type.googleapis.com/google.protobuf.BytesValue",
			"value": base64.StdEncoding.EncodeToString(text)}}
	case "stats":
		s.stats = more
	case "manager":
		s.http()
		maps.Copy(s.manager, more)
	case "host":
		s.http()
		s.host = s.parse(`{name: "` + name + `", domains: ["` + name + `"]}`)
		maps.Copy(s.host, more)
		add(s.hosts, "virtual_hosts", s.host)
	case "rds":
		s.http()
		delete(s.manager, "route_config")
		s.manager["rds"] = obj{"route_config_name": "r"}
		s.hosts["name"] = "r"
		more["route_config"] = s.hosts
		s.rds = append(s.rds, more)
	default:
		route := more
		if word != "" {
			route = s.piece(word)
			maps.Copy(route, more)
		}
		add(s.host, "routes", route)
	}
}

// http begins the HTTP connection manager of a filter chain.
func (s *scene) http() {
	if s.chain == nil {
		s.chain, s.manager = obj{}, nil
		add(s.listener, "filter_chains", s.chain)
	}
	if s.manager == nil {
		s.hosts = obj{}
		s.manager = obj{"@type": "x.http_connection_manager.v3.HttpConnectionManager", "route_config": s.hosts,
			"http_filters": []any{s.piece("router")}}
		add(s.chain, "filters", obj{"typed_config": s.manager})
	}
}

func (s *scene) wasm() obj {
	return obj{"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
		"config": obj{"failure_policy": "FAIL_RELOAD", "configuration": obj{"value": s.settings}}}
}

// gateBy puts the last filter into an ExtensionWithMatcher. Its action is the plugin, in Envoy's composite filter, or
// in those that skip it SkipFilter.
func (s *scene) gateBy(way string, matcher obj) {
	plugin := s.filter["typed_config"]
	composite := obj{"@type": "x.extensions.filters.http.composite.v3.Composite"}
	actions := obj{
		"in": obj{"@type": "x.composite.v3.ExecuteFilterAction", "typed_config": obj{"name": "hg", "typed_config": plugin}},
		"part": obj{"@type": "x.composite.v3.ExecuteFilterAction", "typed_config": obj{"name": "hg", "typed_config": plugin},
			"sample_percent": obj{"default_value": obj{"numerator": 50}}},
		"skip": obj{"@type": "x.extensions.filters.common.matcher.action.v3.SkipFilter"},
	}
	var fill func(v any)
	fill = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, child := range v {
				fill(child)
			}
		case obj:
			if name, is := v["action"].(string); is {
				v["action"] = obj{"name": "a", "typed_config": actions[name]}
			}
			if name, is := v["input"].(string); is {
				v["input"] = obj{"name": "i", "typed_config": obj{"header_name": name,
					"@type": "x.envoy.type.matcher.v3.HttpRequestHeaderMatchInput"}}
			}
			for _, child := range v {
				fill(child)
			}
		}
	}
	fill(matcher)
	inner := composite
	if way == "skipping" {
		inner = plugin.(obj)
	}
	s.filter["typed_config"] = obj{"@type": "x.envoy.extensions.common.matching.v3.ExtensionWithMatcher",
		"extension_config": obj{"name": "hg", "typed_config": inner}, "xds_matcher": matcher}
}

// read reads what /config_dump has for the scene.
func (s *scene) read() *Envoy {
	dump := s.parse(around)
	warming := s.parse(`{warming_state: {listener: {name: warming, filter_chains: []}}}`)
	add(dump, "configs", obj{"@type": "x.ListenersConfigDump", "static_listeners": s.listeners,
		"dynamic_listeners": append(s.draining, warming)})
	add(dump, "configs", obj{"@type": "x.ClustersConfigDump", "static_clusters": s.clusters})
	add(dump, "configs", obj{"@type": "x.RoutesConfigDump", "dynamic_route_configs": s.rds})
	add(dump, "configs", obj{"@type": "x.EcdsConfigDump", "ecds_filters": s.ecds})
	if s.stats != nil {
		add(dump, "configs", obj{"@type": "x.BootstrapConfigDump",
			"bootstrap": obj{"stats_config": obj{"stats_matcher": s.stats}}})
	}
	text, err := json.Marshal(dump)
	var asJSON any
	if err == nil {
		err = json.Unmarshal(text, &asJSON)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if s.typed {
		for _, part := range list(asJSON, "configs") {
			for _, l := range list(part, "static_listeners") {
				for _, chain := range list(l, "listener", "filter_chains") {
					for _, f := range list(chain, "filters") {
						object(f)["typed_config"] = wrap(object(f)["typed_config"])
					}
				}
			}
		}
	}
	e := Read(asJSON, config.Node{Zone: "b", Cluster: s.cluster}, s.runtime)
	e.Answered, e.Fresh, e.Reloaded = s.answered, s.fresh, s.reloaded
	if s.own != "" {
		e.Own = append(e.Own, netip.MustParseAddr(s.own))
	}
	return e
}

// wrap makes a TypedStruct of each message.
func wrap(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = wrap(v[i])
		}
	case obj:
		fields := obj{}
		for name, field := range v {
			if name != "configuration" && name != "typed_per_filter_config" && name != "filter_metadata" {
				field = wrap(field)
			}
			fields[underscore.ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })] = field
		}
		if kind := fields["@type"]; kind != nil {
			delete(fields, "@type")
			return obj{"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": kind, "value": fields}
		}
		return fields
	}
	return v
}

var underscore = regexp.MustCompile("_[a-z]")

package hostsim

import (
	"net/netip"
	"strconv"
)

// declareProperty takes DeclarePropertyArguments (name 1, read-only 2, type 3, schema 4, span 5) for what set_property
// does in streams, if a root declares it (Context::declareProperty). Values of any type are read as they were set. A
// property declared for a connection lives as long as the stream, since in hostsim each stream has its own connection.
func (v *vm) declareProperty(args []byte) status {
	fields, numbers, ok := pbParse(args)
	if !ok {
		return statusBadArgument
	}
	c := v.current
	if _, twice := c.declared[fields[1]]; twice {
		return statusBadArgument
	}
	if c.declared == nil {
		c.declared = make(map[string]bool)
	}
	c.declared[fields[1]] = numbers[2] != 0
	return statusOK
}

// filterStateObject makes a filter state of a value, as Envoy's factory for a key does. It returns the value of the
// property filter_state.KEY from then on, nil if the property cannot be read; ok is false for an invalid value.
type filterStateObject func(value string) (read any, ok bool)

func anyText(value string) (any, bool) { return value, true }

func unreadable(string) (any, bool) { return nil, true }

func unsigned(bits int) filterStateObject {
	return func(value string) (any, bool) {
		_, err := strconv.ParseUint(value, 10, bits)
		return value, err == nil
	}
}

// addressAndPort is read as an empty list: it has fields of its own, which are not imitated.
func addressAndPort(value string) (any, bool) {
	_, err := netip.ParseAddrPort(value)
	return []any{}, err == nil
}

// filterStateObjects are the keys that set_envoy_filter_state knows (FilterState::ObjectFactory). Their behaviour was
// tried on Envoy.
var filterStateObjects = map[string]filterStateObject{
	"envoy.string":            anyText,
	"envoy.tcp_proxy.cluster": anyText,
	"envoy.tcp_proxy.disable_tunneling": func(value string) (any, bool) {
		return strconv.FormatBool(value == "true"), true
	},
	"envoy.tcp_proxy.per_connection_idle_timeout_ms": unsigned(64),
	"envoy.network.upstream_server_name":             anyText,
	"envoy.network.application_protocols":            unreadable,
	"envoy.network.upstream_subject_alt_names":       anyText,
	"envoy.filters.listener.original_dst.local_ip":   addressAndPort,
	"envoy.filters.listener.original_dst.remote_ip":  addressAndPort,
	"envoy.upstream.dynamic_host":                    anyText,
	"envoy.upstream.dynamic_port":                    unsigned(16),
	"envoy.ratelimit.hits_addend":                    unsigned(64),
	"envoy.hashable_string":                          anyText,
	"envoy.network.network_namespace":                anyText,
	"envoy.network.ip": func(value string) (any, bool) {
		_, err := netip.ParseAddr(value)
		return value, err == nil
	},
}

// filterStateObjects136 is where Envoy 1.36 differs: a key that it lacks, or cannot read.
var filterStateObjects136 = map[string]filterStateObject{
	"envoy.hashable_string":                    nil,
	"envoy.network.network_namespace":          nil,
	"envoy.network.upstream_subject_alt_names": unreadable,
}

// setEnvoyFilterState takes SetEnvoyFilterStateArguments (path 1, value 2, span 3).
func (v *vm) setEnvoyFilterState(args []byte) status {
	fields, ok := pbFields(args)
	if !ok {
		return statusBadArgument
	}
	key := fields[1]
	object := filterStateObjects[key]
	if other, differs := filterStateObjects136[key]; differs && v.host.cfg.profile == Envoy136 {
		object = other
	}
	if object == nil {
		return statusNotFound
	}
	value, ok := object(fields[2])
	if !ok {
		return statusBadArgument
	}
	s := v.effectiveContext().stream
	if s == nil {
		return statusNotFound
	}
	if s.filterState == nil {
		s.filterState = make(map[string]any)
	}
	s.filterState[key] = value
	return statusOK
}

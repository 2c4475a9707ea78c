package hostsim

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
)

// headerMap is a header map as an attribute: one value per name, joined if the name comes more than once.
type headerMap struct{ m *headers.Map }

// message is a protobuf message as an attribute: fields by name, and its encoding.
type message struct {
	fields map[string]any
	bytes  string
}

// unserializable is an attribute that exists, and for which a plugin gets SerializationFailure.
type unserializable struct{}

// field is one step down a path.
func field(value any, name string) (any, bool) {
	switch v := value.(type) {
	case lookup:
		return v(name)
	case headerMap:
		vs := v.m.Values(name)
		return strings.Join(vs, ","), len(vs) > 0
	case message:
		f, ok := v.fields[name]
		return f, ok
	case map[string]any:
		f, ok := v[name]
		return f, ok
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}

// serialize is a value as the plugin gets it (serializeValue): strings as they are, numbers and durations in 8 bytes
// little-endian, booleans in 1, maps and lists as pairs, messages encoded.
func serialize(value any) (string, status) {
	switch v := value.(type) {
	case string:
		return v, statusOK
	case bool:
		return string([]byte{byte(boolArg(v))}), statusOK
	case int:
		return number(float64(v)), statusOK
	case float64:
		return number(v), statusOK
	case int64:
		return word(uint64(v)), statusOK
	case uint64:
		return word(v), statusOK
	case time.Time:
		return word(uint64(v.UnixNano())), statusOK
	case time.Duration:
		return word(uint64(v)), statusOK
	case message:
		return v.bytes, statusOK
	case headerMap:
		var fs []headers.Field
		seen := make(map[string]bool)
		for _, f := range v.m.Fields() {
			if !seen[f.Name] {
				seen[f.Name] = true
				fs = append(fs, headers.Field{Name: f.Name, Value: strings.Join(v.m.Values(f.Name), ",")})
			}
		}
		return string(pairs.Encode(fs)), statusOK
	case map[string]any:
		var fs []headers.Field
		for _, k := range slices.Sorted(maps.Keys(v)) {
			s, st := serialize(v[k])
			if st != statusOK {
				return "", statusSerializationFailure
			}
			fs = append(fs, headers.Field{Name: k, Value: s})
		}
		return string(pairs.Encode(fs)), statusOK
	case []any:
		fs := make([]headers.Field, len(v))
		for i, e := range v {
			s, st := serialize(e)
			if st != statusOK {
				return "", statusSerializationFailure
			}
			fs[i] = headers.Field{Name: s}
		}
		return string(pairs.Encode(fs)), statusOK
	}
	return "", statusSerializationFailure
}

func word(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func number(f float64) string { return word(math.Float64bits(f)) }

// nodeMessage is envoy.config.core.v3.Node, as far as a Node has it.
func nodeMessage(n Node) message {
	locality := message{
		fields: map[string]any{"region": n.Region, "zone": n.Zone, "sub_zone": n.SubZone},
		bytes:  pbString(1, n.Region) + pbString(2, n.Zone) + pbString(3, n.SubZone),
	}
	metadata := n.Metadata
	if metadata == nil {
		metadata = map[string]any{}
	}
	b := pbString(1, n.ID) + pbString(2, n.Cluster)
	if len(metadata) > 0 {
		b += pbBytes(3, pbStruct(metadata))
	}
	if locality.bytes != "" {
		b += pbBytes(4, locality.bytes)
	}
	b += pbString(6, "envoy")
	return message{
		fields: map[string]any{"id": n.ID, "cluster": n.Cluster, "metadata": metadata, "locality": locality,
			"user_agent_name": "envoy"},
		bytes: b,
	}
}

// metadataMessage is envoy.config.core.v3.Metadata.
func metadataMessage(md map[string]map[string]any) message {
	tree := make(map[string]any, len(md))
	b := ""
	for _, ns := range slices.Sorted(maps.Keys(md)) {
		tree[ns] = md[ns]
		b += pbBytes(1, pbString(1, ns)+pbBytes(2, pbStruct(md[ns])))
	}
	return message{fields: map[string]any{"filter_metadata": tree}, bytes: b}
}

// pbBytes encodes a length-delimited protobuf field. pbString does the same, and leaves an empty field out.
func pbBytes(num int, s string) string {
	b := binary.AppendUvarint(nil, uint64(num<<3|2))
	b = binary.AppendUvarint(b, uint64(len(s)))
	return string(append(b, s...))
}

func pbString(num int, s string) string {
	if s == "" {
		return ""
	}
	return pbBytes(num, s)
}

// pbStruct is google.protobuf.Struct.
func pbStruct(m map[string]any) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(pbBytes(1, pbString(1, k)+pbBytes(2, pbValue(m[k]))))
	}
	return b.String()
}

// pbValue encodes google.protobuf.Value. A value of a type that JSON does not have counts as null.
func pbValue(v any) string {
	switch v := v.(type) {
	case int:
		return pbValue(float64(v))
	case float64:
		return "\x11" + number(v)
	case string:
		return pbBytes(3, v)
	case bool:
		return string([]byte{0x20, byte(boolArg(v))})
	case map[string]any:
		return pbBytes(5, pbStruct(v))
	case []any:
		var b strings.Builder
		for _, e := range v {
			b.WriteString(pbBytes(1, pbValue(e)))
		}
		return pbBytes(6, b.String())
	}
	return "\x08\x00"
}

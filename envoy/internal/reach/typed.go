package reach

import (
	"maps"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// untyped writes each TypedStruct as the message that it stands for: a type's name and fields, as a control plane
// writes what it has no code for. Its fields may be in camelCase.
func untyped(v any) {
	dump.Each(v, func(o map[string]any) bool {
		if inner, is := o["value"].(map[string]any); is && strings.HasSuffix(text(o, "@type"), ".TypedStruct") {
			kind := text(o, "type_url")
			delete(o, "value")
			delete(o, "type_url")
			maps.Copy(o, snakeCase(inner).(map[string]any))
			o["@type"] = kind
		}
		return true
	})
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// named are fields that hold names which somebody chose, or what is no message of Envoy's.
var named = regexp.MustCompile(
	`^(typed_per_filter_config|typed_extension_protocol_options|filter_metadata|configuration)$`)

// snakeCase writes the fields of messages as the dump writes them.
func snakeCase(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = snakeCase(v[i])
		}
	case map[string]any:
		out := map[string]any{}
		for name, field := range v {
			name = strings.ToLower(camel.ReplaceAllString(name, "${1}_${2}"))
			if !named.MatchString(name) {
				field = snakeCase(field)
			}
			out[name] = field
		}
		return out
	}
	return v
}

// encrypts reports whether a filter chain takes connections by TLS, or the like.
func encrypts(chain any) bool {
	socket := dump.At(chain, "transport_socket")
	for dump.At(socket, "typed_config", "transport_socket") != nil { // inside one that watches, or counts
		socket = dump.At(socket, "typed_config", "transport_socket")
	}
	return socket != nil && !is(dump.At(socket, "typed_config"), ".raw_buffer.v3.RawBuffer")
}

package envoytest

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Object is a JSON object of Envoy's configuration.
type Object = map[string]any

// At returns what is at a path of field names and indexes. It panics where there is nothing: the shipped
// configuration has changed, and the test has to follow.
func At[T any](node any, path ...any) T {
	for i, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := node.(Object)
			node = object[step]
		case int:
			list, _ := node.([]any)
			if step >= len(list) {
				panic(fmt.Sprintf("configuration: nothing at %v", path[:i+1]))
			}
			node = list[step]
		}
	}
	out, ok := node.(T)
	if !ok {
		panic(fmt.Sprintf("configuration: %T at %v, not %T", node, path, out))
	}
	return out
}

// Parse reads a JSON object.
func Parse(text string) Object {
	var out Object
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		panic(fmt.Sprintf("%v in %s", err, text))
	}
	return out
}

// Text writes a JSON object.
func Text(o Object) string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Clone returns a deep copy.
func Clone(o Object) Object { return Parse(Text(o)) }

// Any returns an object of a protobuf type, as Envoy's JSON wants a google.protobuf.Any.
func Any(protoType string, fields Object) Object {
	out := Object{"@type": "type.googleapis.com/" + protoType}
	maps.Copy(out, fields)
	return out
}

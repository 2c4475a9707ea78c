package config

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// field is one length-delimited field of a protobuf message.
func field(number byte, content []byte) []byte {
	return append(binary.AppendUvarint([]byte{number<<3 | wireBytes}, uint64(len(content))), content...)
}

// encodeStruct and encodeValue write what encoding/json read as google.protobuf.Struct and Value.
func encodeStruct(object map[string]any) (b []byte) {
	var names []string
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b = append(b, field(1, append(field(1, []byte(name)), field(2, encodeValue(object[name]))...))...)
	}
	return b
}

func encodeValue(v any) []byte {
	switch v := v.(type) {
	case float64:
		return binary.LittleEndian.AppendUint64([]byte{2<<3 | wireFixed64}, math.Float64bits(v))
	case string:
		return field(3, []byte(v))
	case bool:
		if v {
			return []byte{4 << 3, 1}
		}
		return []byte{4 << 3, 0}
	case map[string]any:
		return field(5, encodeStruct(v))
	case []any:
		var list []byte
		for _, item := range v {
			list = append(list, field(1, encodeValue(item))...)
		}
		return field(6, list)
	default:
		return []byte{1 << 3, 0}
	}
}

func asStruct(t *testing.T, text string) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return encodeStruct(object)
}

// A Struct and the JSON that it stands for are one configuration, and one mistake.
func TestStructIsLikeJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		example, good, many(64, 64), keyed("a", "b.{zone}", "{region}"), reply(`"body":"\u0000é\n\"","status":299`),
		endpoint(`"headers":[{"name":"x","present_match":false},{"name":"y","present_match":true,"ignore_case":true}]`),
		endpoint(`"hosts":[],"methods":null,"maintenance":{"route_metadata":true}`),
		withPeer(`{"filter_state":"k"}`),
		// Refused alike.
		endpoint(`"hosts":[["a"]]`), endpoint(`"hosts":[null]`), endpoint(`"hosts":[true]`), endpoint(`"hosts":[{}]`),
		endpoint(`"hosts":[1]`),
		reply(`"status":200.5`), reply(`"status":-1`), reply(`"body":7`), probe(`"path":"/","interval":1`),
		probe(`"path":""`),
		endpoint(`"path":"/"`), keyed("{x}"), many(0,
			65), `{"endpoints":[]}`, `{"endpoints":{}}`, `{"endpoints":null}`, `{"x":false}`,
	} {
		node := Node{Zone: "z"}
		fromJSON, wantErr := Parse([]byte(text), node)
		fromStruct, err := Parse(asStruct(t, text), node)
		if textOf(err) != textOf(wantErr) {
			t.Errorf("%.100s:\n as a Struct %v\n as JSON %v", text, err, wantErr)
		} else if !reflect.DeepEqual(fromStruct, fromJSON) {
			t.Errorf("%.100s:\n as a Struct %+v\n as JSON %+v", text, fromStruct, fromJSON)
		}
	}
}

func TestStructRefuses(t *testing.T) {
	t.Parallel()
	whole := asStruct(t, good)
	for name, b := range map[string][]byte{
		"cut off":                   whole[:len(whole)-1],
		"a byte more":               append(append([]byte{}, whole...), 0x0a),
		"another field":             append(append([]byte{}, whole...), field(2, nil)...),
		"another field of an entry": field(1, field(3, nil)),
		"another field of a value":  field(1, field(2, field(7, nil))),
		"another field of a list":   field(1, field(2, field(6, field(2, nil)))),
		"a group":                   {1<<3 | 3},
		"a 32-bit number":           {1<<3 | 5, 0, 0, 0, 0},
		"a length beyond the end":   {1<<3 | wireBytes, 5, 1},
		"a length beyond all numbers": append([]byte{1<<3 | wireBytes}, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 1),
		"a length without an end": {1<<3 | wireBytes, 0x80},
		"no length":               {1<<3 | wireBytes},
		"a tag without an end":    {0x80},
		"a varint without an end": field(1, field(2, []byte{4 << 3, 0x80})),
		"a double cut off":        field(1, field(2, []byte{2<<3 | wireFixed64, 0, 0, 0, 0, 0, 0, 0})),
		"text":                    []byte("endpoints:"),
		"zeros":                   make([]byte, 16),
	} {
		if text := structJSON(b); text != nil {
			t.Errorf("%s: taken as %s", name, text)
		}
		if _, err := Parse(b, Node{}); !strings.HasPrefix(textOf(err), "not JSON: ") || len(textOf(err)) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nesting is refused where it could exhaust the stack, in objects and in lists, and not where a configuration is.
func TestStructDepth(t *testing.T) {
	t.Parallel()
	object, list := []byte{}, field(6, nil) // an object, a value
	for depth := 1; depth <= 1000; depth++ {
		// object has depth levels, and list one level less.
		if text := structJSON(object); json.Valid(text) != (depth <= 32) {
			t.Errorf("%d objects: %s", depth, text)
		}
		if text := structJSON(field(1, field(2, list))); json.Valid(text) != (depth+1 <= 32) {
			t.Errorf("an object and %d lists: %s", depth, text)
		}
		object = field(1, field(2, field(5, object)))
		list = field(6, field(1, list))
	}
}

// A number of a Struct is shown as it was written, as far as the messages about it need it.
func TestStructNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0", 1: "1", 200: "200", -1: "-1", 100_000: "100000", 200.5: "200.5", -0.25: "-0.25", 0.1: "0.1", 1.1: "1.1",
		599.999: "599.999", 200.0000000001: "200.000001", 200.9999999999: "200.999999", 1e-300: "0.000001",
		1<<53 - 1: "9007199254740991", 1e300: "", -1e20: "", math.NaN(): `"NaN"`, math.Inf(1): `"NaN"`, math.Inf(-1): `"NaN"`,
		math.MaxUint64: "",
	} {
		got := string(appendNumber(nil, f))
		if math.Abs(f) > 1<<53 && !math.IsInf(f, 0) { // up to rounding
			parsed, err := strconv.ParseFloat(got, 64)
			if err != nil || math.Abs(parsed-f) > math.Abs(f)/1e13 {
				t.Errorf("%g: %s", f, got)
			}
		} else if got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

// Whatever the message, it is refused or stands for JSON.
func FuzzStruct(f *testing.F) {
	for _, text := range []string{good, example} {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			f.Fatal(err)
		}
		f.Add(encodeStruct(object))
	}
	f.Add([]byte{0x0a, 0x0d, 0x0a, 0, 0x12, 9, 2<<3 | wireFixed64, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f})
	f.Fuzz(func(t *testing.T, message []byte) {
		if text := structJSON(message); text != nil && !json.Valid(text) {
			t.Errorf("%q", text)
		}
	})
}

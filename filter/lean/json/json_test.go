package json

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

// read makes of a value what encoding/json makes of it.
func read(v Value) any {
	switch v.Kind() {
	case Bool:
		return v.IsTrue()
	case Number:
		return json.Number(v)
	case String:
		text, _ := v.Text()
		return text
	case Array:
		out := []any{}
		for w := v.Walk(); w.Next(); {
			out = append(out, read(w.Value))
		}
		return out
	case Object:
		out := map[string]any{}
		for w := v.Walk(); w.Next(); {
			name, _ := w.Name.Text()
			out[name] = read(w.Value)
		}
		return out
	default:
		return nil
	}
}

func depth(text []byte) (deepest int) {
	d, level := json.NewDecoder(bytes.NewReader(text)), 0
	for {
		switch token, err := d.Token(); {
		case err != nil:
			return deepest
		case token == json.Delim('{') || token == json.Delim('['):
			level++
			deepest = max(deepest, level)
		case token == json.Delim('}') || token == json.Delim(']'):
			level--
		}
	}
}

// compare holds a text against encoding/json.
func compare(t *testing.T, text []byte) {
	t.Helper()
	v, err := Parse(text)
	if want := json.Valid(text) && depth(text) <= MaxDepth; want != (err == nil) {
		t.Fatalf("%q: %v, but encoding/json takes it: %t", text, err, want)
	}
	if err != nil {
		return
	}
	var want any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if got := read(v); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %#v, encoding/json reads %#v", text, got, want)
	}
}

// texts are JSON, and almost JSON.
var texts = []string{
	``, ` `, `{}`, `[]`, ` [ ] `, "\t{\r\n}", `[1,]`, `[,1]`, `[1 2]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`,
	`{"a" : 1 , "b" : [ ] }`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `[}`, `{]`, `[`, `{`, `"`, `}`, `]`, `:`, `,`, `[]]`,
	`{}{}`, `1 2`, `null`, `nul`, `nulll`, `true`, `tru`, `True`, `false`, `fals`, `0`, `-0`, `00`, `01`, `-`, `+1`, `.5`,
	`5.`, `-.5`, `1.5`, `1e5`, `1E+5`, `1e-5`, `1e`, `1e+`, `1.e5`, `0x10`, `NaN`, `Infinity`, `-1`, `--1`,
	`12345678901234567890.12345678901234567890e123`, `"a"`, `"a`, `"\"\\\/\b\f\n\r\t"`, `"\a"`, `"\v"`, `"\`, `"\u`,
	`"\u00e"`, `"\u00eg"`, `"\u00e9\u00E9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\ud83d\ude00"`,
	`"\ud83d\n"`, `"\ud83d\u0041"`, `"\ud83dx"`, `"\ud83d\"`, `"\u0000"`, "\"\x00\"", "\"\n\"", "\"\t\"", "\"\x7f\"",
	"\"é\U0001f600\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\\n\xff\"", "\xef\xbb\xbf{}", "\xff", "{} \x00",
	`{"a":1,"a":2}`, `{"a":{"a":[{"a":"]}"}]}}`, `[[],{},"[",{"]":"}"}]`, `{"\u0061":1}`, `"a" "b"`, `{"":0}`,
	`[1,2,3,{"x":null},true,false,"\u20AC"]`, `//`, `[1]//`, `/**/1`, `'a'`, `{"a":'b'}`, `[1,2`, `{"a":1`, `{"a":"`,
}

func nested(depth int) string { return strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) }

func TestLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		compare(t, []byte(text))
		compare(t, []byte(` [{"x": `+text+` } ]`))
	}
	for depth := range 2 * MaxDepth {
		compare(t, []byte(nested(depth)))
		compare(t, []byte(strings.Repeat(`{"a":`, depth)+`1`+strings.Repeat(`}`, depth)))
	}
	for i := range 256 { // every byte in every place
		for _, text := range []string{`?`, `[1?]`, `["?"]`, `"\?"`, `"\u00?0"`, `-?`, `1.?`, `1e?`, `0?`,
			`{"a"?1}`, `{?"a":1}`, `t?ue`} {
			compare(t, []byte(strings.Replace(text, "?", string([]byte{byte(i)}), 1)))
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                           `line 1, column 1: expected a value, found the end`,
		"\n\n ":                      `line 3, column 2: expected a value, found the end`,
		`{"a": [1, 2}`:               `line 1, column 12: expected ',' or ']', found '}'`,
		"{\n  \"ü\": 1\n  \"b\": 2}": `line 3, column 3: expected ',' or '}', found '"'`,
		`{"ü": x}`:                   `line 1, column 7: expected a value, found 'x'`,
		`{"a": 1,}`:                  `line 1, column 9: expected a field's name in double quotes, found '}'`,
		`{“a”: 1}`:                   `line 1, column 2: expected a field's name in double quotes, found '“'`,
		`{"a" 1}`:                    `line 1, column 6: expected ':', found '1'`,
		`[tru]`:                      `line 1, column 2: expected a value, found 't'`,
		`[01]`:                       `line 1, column 3: expected ',' or ']', found '1'`,
		`[1.]`:                       `line 1, column 4: expected a digit, found ']'`,
		`["a`:                        `line 1, column 4: expected a closing quote, found the end`,
		"[\"a\n\"]":                  `line 1, column 4: expected an escape such as \n, found byte 0x0a`,
		`["\a"]`:                     `line 1, column 4: expected one of "\/bfnrtu after the backslash, found 'a'`,
		`["\u12x4"]`:                 `line 1, column 7: expected four hexadecimal digits after \u, found 'x'`,
		`{} {}`:                      `line 1, column 4: expected nothing more, found '{'`,
		"\xff":                       `line 1, column 1: expected a value, found byte 0xff`,
		"\x00":                       `line 1, column 1: expected a value, found byte 0x00`,
		nested(33):                   `line 1, column 33: expected at most 32 levels of nesting, found '['`,
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for text, want := range map[Value]string{
		`null`: "null", `true`: "a boolean", `false`: "a boolean", `-1`: "a number", `0`: "a number", `""`: "a string",
		`[]`: "an array", `{}`: "an object", ``: "absent",
	} {
		if got := text.Kind().String(); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
		// What a value is not, it has nothing of.
		if text, valid := text.Text(); text != "" || valid != (want == "a string") {
			t.Errorf("%s: text %q, %t", want, text, valid)
		}
		if w := text.Walk(); w.Next() || text.Member("") != "" || text.IsTrue() != (text == `true`) {
			t.Errorf("%s has what it is not", want)
		}
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	v, err := Parse([]byte(` { "b" : [ 1 ] , "\u0061":2,"a": 3, "c":{"d":4} }`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Value{"a": "2", "b": "[ 1 ]", "c": `{"d":4}`, "d": "", `"a"`: "", "": ""} {
		if got := v.Member(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestTextIsUnicode(t *testing.T) {
	t.Parallel()
	for text, valid := range map[Value]bool{
		`"é"`: true, `"\u00e9"`: true, `"\ud83d\ude00"`: true, `"�"`: true, `"\ufffd"`: true, `"\\�"`: true, `"\\é"`: true,
		"\"\xe9\"": false, "\"\\n\xe9\"": false, `"\ud83d"`: false, `"\ude00"`: false, `"\ude00\ud83d"`: false,
		"\"\xed\xa0\x80\"": false,
	} {
		if _, got := text.Text(); got != valid {
			t.Errorf("%q: valid %t", text, got)
		}
	}
}

func TestWhole(t *testing.T) {
	t.Parallel()
	for text, want := range map[Value]uint32{
		`0`: 0, `0.0`: 0, `0e9`: 0, `0e-99999999999999999999`: 0, `200`: 200, `2e2`: 200, `2E+2`: 200, `200.0`: 200,
		`20000e-2`: 200, `0.2e3`: 200, `0.000002e8`: 200, `1010`: 1010, `10.10e2`: 1010, `4294967295`: 4294967295,
		`42949672950000e-4`: 4294967295, `4.294967295e9`: 4294967295,
		`2` + Value(strings.Repeat("0", 1000)) + `e-998`: 200,
	} {
		if got, ok := text.Whole(); got != want || !ok {
			t.Errorf("%.50s: %d, %t", text, got, ok)
		}
	}
	for _, text := range []Value{
		`-0`, `-1`, `200.5`, `2e-1`, `4294967296`, `1e10`, `1e99999999999999999999`, `1e-99999999999999999999`,
		`200.00000000000000000000001`, `18446744073709551617`, `18446744073709551616`, `99999999999999999999999e-22`, `"200"`,
		`true`, `null`, `[]`, ``,
	} {
		if got, ok := text.Whole(); ok {
			t.Errorf("%s: %d", text, got)
		}
	}
}

// To read a document costs no memory, however large it is.
func TestReadingDoesNotAllocate(t *testing.T) {
	text := []byte(`{"entries": {` +
		strings.Repeat(`"key": {"final_value": "true", "layer_values": ["", "é"]}, `, 10_000) +
		`"last": 1e2}}`)
	found := 0
	if n := testing.AllocsPerRun(5, func() {
		v, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for w := v.Member("entries").Walk(); w.Next(); {
			if text, _ := w.Value.Member("final_value").Text(); text == "true" {
				found++
			}
		}
	}); n != 0 || found != 6*10_000 {
		t.Errorf("%v allocations, %d values", n, found)
	}
}

func FuzzLikeEncodingJSON(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(compare)
}

func FuzzWhole(f *testing.F) {
	for _, text := range []string{`0`, `200.0`, `2e2`, `20000e-2`, `4294967295`, `4294967296`, `0.1`, `-1`, `1e9`,
		`12.340e2`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse([]byte(text))
		if err != nil || v.Kind() != Number || len(text) > 40 {
			return
		}
		if e := strings.IndexAny(text, "eE"); e >= 0 && len(text)-e > 4 {
			return // a number of too many digits to compare
		}
		exact, ok := new(big.Rat).SetString(string(v))
		if !ok {
			t.Fatalf("%s is no number to math/big", v)
		}
		want := v[0] != '-' && exact.IsInt() && exact.Num().IsUint64() && exact.Num().Uint64() < 1<<32
		if got, ok := v.Whole(); ok != want || ok && uint64(got) != exact.Num().Uint64() {
			t.Errorf("%s: %d, %t", v, got, ok)
		}
	})
}

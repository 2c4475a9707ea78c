package maintenance

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, document string
		want           []Entry
	}{
		{"as Envoy writes it",
			`{"layers":["static","admin"],"entries":{"a":{"final_value":"true","layer_values":["","true"]},` +
				`"a.reason":{"final_value":"disk swap","layer_values":["","disk swap"]},` +
				`"other":{"final_value":"1","layer_values":["1",""]}}}`,
			[]Entry{{true, "true", "disk swap"}, {}}},
		{"no key is set", `{"layers":[],"entries":{}}`, []Entry{{}, {}}},
		{"without layers", `{"entries":{"b":{"final_value":"0"}}}`, []Entry{{}, {Set: true, Value: "0"}}},
		{"an empty value", `{"entries":{"a":{"final_value":""}}}`, []Entry{{Set: true}, {}}},
		{"only a reason", `{"entries":{"a.reason":{"final_value":"why"}}}`, []Entry{{Reason: "why"}, {}}},
		{"names match exactly", `{"entries":{"A":{"final_value":"1"},"a.":{"final_value":"1"},"a.b":{"final_value":"1"}}}`,
			[]Entry{{}, {}}},
		{"escapes", `{"entries":{"\u0061":{"final_value":"\"on\"\n\u00e9"}}}`,
			[]Entry{{Set: true, Value: "\"on\"\né"}, {}}},
		{"layers do not decide, the final value does",
			`{"entries":{"a":{"final_value":"false","layer_values":["true","false"]}}}`,
			[]Entry{{Set: true, Value: "false"}, {}}},
		{"256 bytes are whole", `{"entries":{"a":{"final_value":"` + strings.Repeat("x", 256) + `"}}}`,
			[]Entry{{Set: true, Value: strings.Repeat("x", 256)}, {}}},
		{"a long value is cut", `{"entries":{"a":{"final_value":"` + strings.Repeat("x", 257) + `"}}}`,
			[]Entry{{Set: true, Value: strings.Repeat("x", 253) + "…"}, {}}},
		{"a long reason is cut", `{"entries":{"b.reason":{"final_value":"` + strings.Repeat("y", 1000) + `"}}}`,
			[]Entry{{}, {Reason: strings.Repeat("y", 253) + "…"}}},
		{"between characters", `{"entries":{"a":{"final_value":"` + strings.Repeat("é", 200) + `"}}}`,
			[]Entry{{Set: true, Value: strings.Repeat("é", 126) + "…"}, {}}},
		{"what is no text", `{"entries":{"a":{"final_value":5},"b":{"final_value":[]}}}`,
			[]Entry{{Set: true, Value: "5"}, {Set: true, Value: "[]"}}},
		{"null", `{"entries":{"a":{"final_value":null}}}`, []Entry{{Set: true, Value: "null"}, {}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := NewReader([]string{"a", "b"}).Read([]byte(test.document))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
			}
		})
	}
}

// What is cut off might have said anything.
func TestLongValueIsOn(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		strings.Repeat(" ", 300) + "true", strings.Repeat(" ", 300), "false" + strings.Repeat(" ", 300) +
			"true", strings.Repeat("0", 300),
		`{\"numerator\": 0` + strings.Repeat(" ", 300) + `5}`, `\"` + strings.Repeat(" ", 300) + `\"`,
	} {
		entries, err := NewReader([]string{"a"}).Read([]byte(`{"entries":{"a":{"final_value":"` + value + `"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if s, known := ParseSwitch(entries[0].Value); known || s != (Switch{On: true}) {
			t.Errorf("%q: %+v, known %t", entries[0].Value, s, known)
		}
	}
}

// A key may itself end in .reason: then it is a value to one key and a reason to the other.
func TestReadKeyThatIsAReason(t *testing.T) {
	t.Parallel()
	got, err := NewReader([]string{"a", "a.reason"}).Read([]byte(`{"entries":{"a.reason":{"final_value":"on"}}}`))
	want := []Entry{{Reason: "on"}, {Set: true, Value: "on"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		"", " ", "null", "[]", "{}", `"entries"`, "42", "upstream connect error", "<html>", "LIVE\n",
		`{"entries":null}`, `{"entries":[]}`, `{"entries":"a"}`, `{"layers":[]}`,
		`{"entries":{"a":{"final_value":"true"}`, // cut off
		`{"entries":{"a":{}}}`, `{"entries":{"a":""}}`, `{"entries":{"a":null}}`,
		`{"entries":{"a.reason":[]}}`, // keys without a value
	} {
		if got, err := NewReader([]string{"a"}).Read([]byte(document)); err == nil {
			t.Errorf("%q was read as %+v", document, got)
		} else if err.Error() != "not the JSON of /runtime?format=json" {
			t.Errorf("%q: %v", document, err)
		}
	}
}

// One Reader reads again and again: nothing of the last document may stay, also when one in between was broken.
func TestReadForgets(t *testing.T) {
	t.Parallel()
	r := NewReader([]string{"a"})
	first, err := r.Read([]byte(`{"entries":{"a":{"final_value":"true"},"a.reason":{"final_value":"why"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read([]byte(`{"entries":`)); err == nil {
		t.Error("a broken document was read")
	}
	second, err := r.Read([]byte(`{"entries":{"b":{"final_value":"zzzzzzzzzzzzzzzz"}}}`))
	if err != nil || second[0] != (Entry{}) {
		t.Errorf("after the key was removed: %+v, %v", second, err)
	}
	if first[0] != (Entry{true, "true", "why"}) {
		t.Errorf("the first reading changed to %+v: it must not share the parser's memory", first[0])
	}
}

func TestReadManyKeys(t *testing.T) {
	t.Parallel()
	const n = 10_000
	var keys []string
	var b strings.Builder
	b.WriteString(`{"entries":{`)
	for i := range n {
		keys = append(keys, fmt.Sprintf("key.%d", i))
		fmt.Fprintf(&b, `"key.%d":{"final_value":"%d"},"key.%d.reason":{"final_value":"r%d"},`, i, i, i, i)
	}
	b.WriteString(`"last":{"final_value":"1"}}}`)
	got, err := NewReader(keys).Read([]byte(b.String()))
	if err != nil || len(got) != n {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, e := range got {
		if want := (Entry{true, fmt.Sprint(i), fmt.Sprintf("r%d", i)}); e != want {
			t.Fatalf("key %d: %+v, want %+v", i, e, want)
		}
	}
}

// Keys of others, of which an Envoy may have thousands, cost no memory.
func TestReadAllocatesForItsOwnKeysOnly(t *testing.T) {
	document := []byte(`{"entries":{"a":{"final_value":"true"},` +
		strings.Repeat(`"other.key":{"final_value":"a value","layer_values":["a value",""]},`, 10_000) +
		`"a.reason":{"final_value":"why"}}}`)
	r := NewReader([]string{"a"})
	if n := testing.AllocsPerRun(10, func() {
		if got, err := r.Read(document); err != nil || got[0] != (Entry{true, "true", "why"}) {
			t.Errorf("%+v, %v", got, err)
		}
	}); n > 3 {
		t.Errorf("%v allocations; want the entries, a value and a reason", n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"layers":["a"],"entries":{"a":{"final_value":"true","layer_values":["true"]},` +
		`"a.reason":{"final_value":"x"}}}`))
	f.Add([]byte(`{"entries":{"a":[],"a.reason":null}}`))
	f.Add([]byte(`{"entries":{"a":{"final_value":5}}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := NewReader([]string{"a", "b"}).Read(document)
		if (err == nil) != (len(got) == 2) {
			t.Fatalf("%d entries with error %v", len(got), err)
		}
		for _, e := range got {
			if len(e.Value) > 256 || len(e.Reason) > 256 || e.Value != "" && !e.Set {
				t.Errorf("%+v", e)
			}
		}
	})
}

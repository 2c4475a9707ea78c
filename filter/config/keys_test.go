package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// keyed is a configuration with an admin section whose endpoint has these maintenance keys.
func keyed(keys ...string) string {
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = strconv.Quote(k)
	}
	return strings.Replace(admin(`"interval":"1s"`), `"name"`,
		`"maintenance":{"keys":[`+strings.Join(quoted, ",")+`]},"name"`, 1)
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	full := Node{ID: "n-1", Cluster: "shop", Region: "eu", Zone: "eu-1a"}
	const refused = `endpoints[0].maintenance.keys[0]: `
	for _, test := range []struct {
		keys     []string
		node     Node
		want     []string
		warnings []string
		err      string
	}{
		{keys: []string{"plain.key"}, want: []string{"plain.key"}},
		{keys: []string{"k.{node_id}"}, node: full, want: []string{"k.n-1"}},
		{keys: []string{"k.{cluster}"}, node: full, want: []string{"k.shop"}},
		{keys: []string{"k.{region}"}, node: full, want: []string{"k.eu"}},
		{keys: []string{"k.{zone}"}, node: full, want: []string{"k.eu-1a"}},
		{keys: []string{"{zone}"}, node: full, want: []string{"eu-1a"}},
		{keys: []string{"{zone}.k"}, node: full, want: []string{"eu-1a.k"}},
		{keys: []string{"{zone}{zone}"}, node: full, want: []string{"eu-1aeu-1a"}},
		{keys: []string{"a{region}b{zone}c{cluster}d{node_id}e"}, node: full, want: []string{"aeubeu-1acshopdn-1e"}},
		{keys: []string{"k.{zone}", "k"}, node: full, want: []string{"k.eu-1a", "k"}},
		// A value is not read again, whatever is in it.
		{keys: []string{"k.{node_id}"}, node: Node{ID: "{zone}", Zone: "z"}, want: []string{"k.{zone}"}},
		{keys: []string{"k.{node_id}"}, node: Node{ID: "}"}, want: []string{"k.}"}},

		{keys: []string{"k.{zone}"}, warnings: []string{refused + `"k.{zone}" is ignored: this Envoy's node has no zone`}},
		{keys: []string{"k.{node_id}"}, warnings: []string{refused +
			`"k.{node_id}" is ignored: this Envoy's node has no node_id`}},
		{keys: []string{"k.{cluster}"}, warnings: []string{refused +
			`"k.{cluster}" is ignored: this Envoy's node has no cluster`}},
		{keys: []string{"k.{region}"}, warnings: []string{refused +
			`"k.{region}" is ignored: this Envoy's node has no region`}},
		{keys: []string{"k.{region}.{zone}"}, node: Node{Region: "eu"},
			warnings: []string{refused + `"k.{region}.{zone}" is ignored: this Envoy's node has no zone`}},
		{keys: []string{"{region}{zone}"}, warnings: []string{refused +
			`"{region}{zone}" is ignored: this Envoy's node has no region`}},
		{keys: []string{"a", "k.{zone}", "b", "{region}"}, want: []string{"a", "b"}, warnings: []string{
			`endpoints[0].maintenance.keys[1]: "k.{zone}" is ignored: this Envoy's node has no zone`,
			`endpoints[0].maintenance.keys[3]: "{region}" is ignored: this Envoy's node has no region`}},

		{keys: []string{"k.{host}"}, node: full,
			err: refused + `"{host}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"k.{Zone}"}, node: full,
			err: refused + `"{Zone}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"k.{ zone}"}, node: full,
			err: refused + `"{ zone}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"k.{}"}, node: full, err: refused + `"{}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"k.{{zone}}"}, node: full,
			err: refused + `"{{zone}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"{zone}.{x}"}, node: full,
			err: refused + `"{x}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"{zone}.{x}"}, err: refused + `"{x}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{keys: []string{"k{zone"}, node: full, err: refused + `"k{zone" has a brace without its partner`},
		{keys: []string{"kzone}"}, node: full, err: refused + `"kzone}" has a brace without its partner`},
		{keys: []string{"}{"}, node: full, err: refused + `"}{" has a brace without its partner`},
		{keys: []string{"k}zone{"}, node: full, err: refused + `"k}zone{" has a brace without its partner`},
		{keys: []string{"{zone}}"}, node: full, err: refused + `"{zone}}" has a brace without its partner`},
		{keys: []string{"{zone}{"}, node: full, err: refused + `"{zone}{" has a brace without its partner`},
		{keys: []string{"a", "{"}, node: full, err: `endpoints[0].maintenance.keys[1]: "{" has a brace without its partner`},
	} {
		t.Run(test.err, func(t *testing.T) {
			c, err := Parse([]byte(keyed(test.keys...)), test.node)
			if textOf(err) != test.err {
				t.Errorf("%q: got %v, want %q", test.keys, err, test.err)
			}
			if err != nil {
				return
			}
			if !reflect.DeepEqual(c.Keys, test.want) || !slices.Equal(warnings(c), test.warnings) ||
				len(c.Endpoints[0].Maintenance.Keys) != len(test.want) {
				t.Errorf("%q: keys %q, endpoint %v, warnings %q", test.keys, c.Keys, c.Endpoints[0].Maintenance.Keys, c.Warnings)
			}
		})
	}
}

func warnings(c *Config) (texts []string) {
	for i := range c.Warnings {
		texts = append(texts, c.Warnings[i].Error())
	}
	return texts
}

// numbers is 0 to n-1, as texts.
func numbers(n int) (texts []string) {
	for i := range n {
		texts = append(texts, strconv.Itoa(i))
	}
	return texts
}

// Keys have bounds, so that a configuration is read in no time.
func TestKeyLimits(t *testing.T) {
	t.Parallel()
	const place = `endpoints[0].maintenance.keys`
	for _, test := range []struct {
		name string
		keys []string
		node Node
		err  string
	}{
		{"64 keys", numbers(64), Node{}, ""},
		{"65 keys", numbers(65), Node{}, place + `: there are more than 64 keys`},
		{"256 bytes", []string{strings.Repeat("k", 256)}, Node{}, ""},
		{"257 bytes", []string{"k", strings.Repeat("k", 257)}, Node{},
			place + `[1]: "` + strings.Repeat("k", 97) + `…" is longer than 256 bytes`},
		{"257 bytes of few characters", []string{strings.Repeat("é", 128) + "k"}, Node{},
			place + `[0]: "` + strings.Repeat("é", 48) + `…" is longer than 256 bytes`},
		{"1024 bytes with the node", []string{"{zone}"}, Node{Zone: strings.Repeat("z", 1024)}, ""},
		{"1025 bytes with the node", []string{"{zone}"}, Node{Zone: strings.Repeat("z", 1025)},
			place + `[0]: "{zone}" is longer than 1024 bytes with the node's values in it`},
		{"and several times", []string{"{zone}{zone}x"}, Node{Zone: strings.Repeat("z", 512)},
			place + `[0]: "{zone}{zone}x" is longer than 1024 bytes with the node's values in it`},
		{"node_id 50,000 times", []string{strings.Repeat("{node_id}", 50_000)}, Node{ID: "node"},
			place + `[0]: "` + strings.Repeat("{node_id}", 11)[:97] + `…" is longer than 256 bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse([]byte(keyed(test.keys...)), test.node); textOf(err) != test.err {
				t.Errorf("%s: got %v, want %s", test.name, err, test.err)
			}
		})
	}
}

// A key that is too long is refused before it is expanded, which takes an allocation for each placeholder.
func TestLongKeyIsNotExpanded(t *testing.T) {
	text := []byte(keyed(strings.Repeat("{node_id}", 50_000)))
	if n := testing.AllocsPerRun(1, func() { _, _ = Parse(text, Node{ID: "node"}) }); n > 1000 {
		t.Errorf("%v allocations", n)
	}
}

// Endpoints share what they both name, however it is written.
func TestKeysAreShared(t *testing.T) {
	t.Parallel()
	text := `{"admin":{"cluster":"c"},"endpoints":[
		{"name":"a","paths":["/a"],"trusted":{"cidrs":["::1"]},"maintenance":{"keys":["all","k.{zone}"]}},
		{"name":"b","paths":["/b"],"trusted":{"cidrs":["::1"]},"maintenance":{"keys":["k.z","own","all"]}},
		{"name":"c","paths":["/c"],"trusted":{"cidrs":["::1"]}}]}`
	c, err := Parse([]byte(text), Node{Zone: "z"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"all", "k.z", "own"}; !reflect.DeepEqual(c.Keys, want) {
		t.Errorf("keys %q", c.Keys)
	}
	for i, want := range [][]int{{0, 1}, {1, 2, 0}, nil} {
		if got := c.Endpoints[i].Maintenance.Keys; !reflect.DeepEqual(got, want) {
			t.Errorf("endpoint %d: %v, want %v", i, got, want)
		}
	}
}

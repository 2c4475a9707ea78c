package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/rendertest"
	"go.yaml.in/yaml/v3"
)

// form is what a document was rendered to, with the kinds of the documents that it has to be.
type form struct {
	name, text string
	err        error
	kinds      []string
	gate       func(t *testing.T, d *document.Document, documents any)
}

func everyForm(d *document.Document, common Common) []form {
	e, i := envoyOptions, istioOptions
	e.Common, i.Common = common, common
	for _, p := range d.Config.Probes {
		c := p.Cluster + "=h:7"
		if p.Cluster != "app" && !slices.Contains(e.Clusters, c) {
			e.Clusters = append(slices.Clone(e.Clusters), c)
		}
		if !strings.Contains(p.Cluster, "|") && !slices.Contains(i.Clusters, c) {
			i.Clusters = append(slices.Clone(i.Clusters), c)
		}
	}
	matcher := e
	matcher.Gate = ByMatcher
	out := []form{
		{name: "route", kinds: []string{""}, gate: checkGateRoutes},
		{name: "matcher", kinds: []string{""}, gate: checkMatcher},
		{name: "EnvoyFilter", kinds: []string{"EnvoyFilter", "ConfigMap", "ConfigMap"}, gate: checkMatcher},
		{name: "WasmPlugin", kinds: []string{"WasmPlugin", "EnvoyFilter", "ConfigMap", "ConfigMap"}, gate: checkNoGate},
		{name: "TrafficExtension", kinds: []string{"TrafficExtension", "EnvoyFilter", "ConfigMap", "ConfigMap"},
			gate: checkNoGate},
		{name: "parts", kinds: []string{""}, gate: checkParts},
	}
	out[0].text, out[0].err = Envoy(d, e)
	out[1].text, out[1].err = Envoy(d, matcher)
	out[2].text, out[2].err = IstioEnvoyFilter(d, i)
	out[3].text, out[3].err = IstioWasmPlugin(d, i)
	out[4].text, out[4].err = IstioTrafficExtension(d, i)
	out[5].text, out[5].err = Parts(d, e)
	return out
}

var envoyBool = regexp.MustCompile(`^([yYnN]|[yY]es|YES|[tT]rue|TRUE|[oO]n|ON|[nN]o|NO|false|False|FALSE|[oO]ff|OFF)$`)

// asEnvoy returns what Envoy takes a node for: it knows no tags, takes all that has no quotes for a truth value or an
// integer if it can, octal and hexadecimal ones, too, and else for a text.
func asEnvoy(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return asEnvoy(n.Alias)
	case yaml.DocumentNode:
		return asEnvoy(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asEnvoy(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, child := range n.Content {
			out = append(out, asEnvoy(child))
		}
		return out
	}
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&quoted != 0 && n.Style&yaml.TaggedStyle == 0 {
		return n.Value
	}
	switch v := n.Value; v {
	case "", "~", "null", "Null", "NULL":
		return nil
	default:
		if envoyBool.MatchString(v) {
			return strings.ContainsAny(v[:1], "yYtT") || strings.EqualFold(v, "on")
		}
		if whole, err := strconv.ParseInt(v, 0, 32); err == nil && !strings.Contains(v, "_") {
			return float64(whole)
		}
		return v
	}
}

// numbers returns a value with all its numbers as JSON has them.
func numbers(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

func commentInBraces(n *yaml.Node, inside bool) bool {
	return inside && n.HeadComment+n.LineComment+n.FootComment != "" ||
		slices.ContainsFunc(n.Content, func(child *yaml.Node) bool {
			return commentInBraces(child, inside || n.Style&yaml.FlowStyle != 0)
		})
}

// says compares what each form holds with what the operator wrote, as YAML 1.2 and Envoy have it.
func says(t *testing.T, d *document.Document, common Common) {
	t.Helper()
	for _, made := range everyForm(d, common) {
		form, field := made.name, "value"
		if made.err != nil {
			t.Errorf("%s: %v", form, made.err)
			continue
		}
		if slices.Contains(made.kinds, "WasmPlugin") || slices.Contains(made.kinds, "TrafficExtension") {
			field = "pluginConfig"
		}
		var want map[string]any
		must.Do(t, json.Unmarshal(d.JSON(), &want))
		replaceClusters(want, func(name string) bool {
			return len(made.kinds) == 1 && name == "app" || len(made.kinds) > 1 && strings.HasPrefix(name, "outbound|")
		})
		is := func(v any) bool { return reflect.DeepEqual(v, any(want)) }
		var kinds []string
		var decoded, nodes []any
		for reader := yaml.NewDecoder(strings.NewReader(made.text)); ; {
			var n yaml.Node
			if err := reader.Decode(&n); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, made.text)
			}
			var v map[string]any
			if err := n.Decode(&v); err != nil {
				t.Fatalf("%v in\n%s", err, made.text)
			}
			if commentInBraces(&n, false) {
				t.Errorf("%s: a comment in braces, which not every reader takes, in\n%s", form, made.text)
			}
			kind, _ := v["kind"].(string)
			kinds, decoded, nodes = append(kinds, kind), append(decoded, numbers(v)), append(nodes, asEnvoy(&n))
		}
		if !slices.Equal(kinds, made.kinds) {
			t.Errorf("%s: the documents are %q, not %q, in\n%s", form, kinds, made.kinds, made.text)
		}
		if !slices.ContainsFunc(collect(decoded, field), is) {
			t.Errorf("%s: not the configuration %v in\n%s", form, want, made.text)
		}
		if !slices.ContainsFunc(collect(nodes, field), is) {
			t.Errorf("%s: Envoy reads another configuration than %v in\n%s", form, want, made.text)
		}
		made.gate(t, d, decoded)
		checkRoutes(t, d, common.RouteKey, decoded)
		checkPeers(t, d, decoded)
		for line := range strings.Lines(made.text) {
			if c := line[0]; c != ' ' && c != '#' && c != '\n' && (c < 'a' || c > 'z') && line != "---\n" &&
				(form != "parts" || !strings.HasPrefix(line, "- ")) {
				t.Errorf("%s: %q is not indented, which not every reader takes, in\n%s", form, line, made.text)
			}
		}
		for _, mode := range []string{"yaml-language-server", "$schema"} {
			if strings.Contains(made.text, mode) {
				t.Errorf("%s: what is for an editor came along", form)
			}
		}
	}
}

// Whatever an operator may write, however it is spelled, is what the plugin gets.
func TestRandomFilesInEveryForm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		text, want := rendertest.Random(rand.New(rand.NewPCG(seed, 23)))
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d, err := document.Parse("f.yaml", []byte(text))
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			var got map[string]any
			if err := json.Unmarshal(d.JSON(), &got); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("read as %v, not %v, in\n%s", got, want, text)
			}
			says(t, d, istioOptions.Common)
			o := gatewayOptions
			for _, p := range d.Config.Probes {
				if c := p.Cluster + "=h:7"; p.Cluster != "" && !slices.Contains(o.Clusters, c) {
					o.Clusters = append(o.Clusters, c)
				}
			}
			made, err := EnvoyGateway(d, o)
			if err == nil && !slices.ContainsFunc(collect(decode(t, made), "config"), func(v any) bool {
				return reflect.DeepEqual(v, any(want))
			}) {
				t.Errorf("not the configuration %v in\n%s", want, made)
			}
			if t.Failed() {
				t.Logf("the file:\n%s", text)
			}
		})
	}
}

// Whatever stands in a file, in its name and in options, the documents are those that were meant, and hold what was
// written. An option may be refused.
func FuzzDocuments(f *testing.F) {
	for i, s := range slices.Concat(rendertest.Texts, rendertest.Names, rendertest.Keys) {
		others := rendertest.Texts[i%len(rendertest.Texts)]
		f.Add(s, s, s, others, s, s)
		f.Add("hg.a", "body", "# "+s, "f.yaml"+others, others, s+"/x.wasm")
	}
	f.Fuzz(func(t *testing.T, key, body, comment, file, runtimeDir, wasm string) {
		for _, s := range []*string{&key, &body, &comment, &file, &runtimeDir, &wasm} {
			*s = strings.ToValidUTF8(*s, "?")
		}
		quoted, held := rendertest.Double, key
		if layer.CheckKey(key) != nil {
			held = "hg.a"
		}
		mounted := func(root, s string) string {
			if p := path.Clean(root + "/" + s); strings.HasPrefix(p, root+"/") && !strings.Contains(p, ":") {
				return p
			}
			return root + "/x"
		}
		text := "admin: {cluster: admin}\nendpoints:\n- name: a\n  paths: [/a]\n  trusted: {cidrs: ['::1'], peer: " +
			"{filter_state: " +
			quoted("k"+key) + "}}\n  healthy: {body: " + quoted(body) + "}\n  # " +
			regexp.MustCompile(`[^\t -~]`).ReplaceAllString(comment, "-") +
			"\n  maintenance: {keys: [" + quoted(held) + "], route_metadata: true}\n"
		d, err := document.Parse(file, []byte(text))
		if err != nil {
			t.Skip(err)
		}
		var want map[string]any
		must.Do(t, json.Unmarshal(d.JSON(), &want))
		if got := collect(want, "keys"); !reflect.DeepEqual(got, []any{[]any{held}}) ||
			!reflect.DeepEqual(collect(want, "body"), []any{body}) {
			t.Fatalf("read as %v", want)
		}
		says(t, d, Common{
			Wasm: mounted("/w", wasm), RuntimeDir: mounted("/r", runtimeDir), RouteKey: "route." + held + "{endpoint}",
			Command: []string{"healthgate", file, runtimeDir, wasm, key},
		})
	})
}

package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/operator/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The JSON Schema that editors get refuses what this package refuses, except where it can't know.
func TestSchemaRefusesTheSame(t *testing.T) {
	t.Parallel()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("healthgate.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("healthgate.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text string) error {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
	for _, text := range []string{good, example} {
		if err := validate(text); err != nil {
			t.Errorf("a good document is refused: %v", err)
		}
	}
	for _, test := range refusals() {
		beyond := slices.ContainsFunc(schema.Beyond, func(part string) bool { return strings.Contains(test.want, part) })
		if !beyond && validate(test.text) == nil {
			t.Errorf("%.80s: the schema takes what is refused with %s", test.text, test.want)
		}
	}
}

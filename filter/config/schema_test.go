package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/operator/schema"
	"github.com/healthgate/healthgate/envoy/operator/schema/schematest"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The JSON Schema that editors get refuses what this package refuses, except where it can't know.
func TestSchemaRefusesTheSame(t *testing.T) {
	t.Parallel()
	s := schematest.Compile(t)
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

// Package schematest lets tests check documents against the JSON Schema that editors get.
package schematest

import (
	"bytes"
	"testing"

	"github.com/healthgate/healthgate/envoy/operator/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Compile returns the schema, which a validator must take.
func Compile(t testing.TB) *jsonschema.Schema {
	t.Helper()
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
	return s
}

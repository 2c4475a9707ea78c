package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryField: configuration.md has a row for each field of the JSON Schema, with its default.
func TestEveryField(t *testing.T) {
	t.Parallel()
	text := read(t, "configuration.md")
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`[^|]* \\| .*$").FindAllStringSubmatch(text, -1) {
		rows[m[1]] = m[0]
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(read(t, "../envoy/healthgate.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	walk(schema, "", fields)
	if len(fields) < 40 {
		t.Fatalf("the schema has %d fields", len(fields))
	}
	for field, byDefault := range fields {
		if field == "endpoints" || field == "probes" || field == "admin" {
			continue // each is a section
		}
		row := rows[field]
		if path := strings.Split(field, "."); row == "" && len(path) > 2 && rows["…."+path[2]] != "" {
			row = rows["…."+path[2]] + "\n" + rows[path[1]] // what replies have in common, and the defaults of this one
		}
		if row == "" {
			t.Errorf("no row for %s", field)
		} else if !strings.Contains(row, written(byDefault)) {
			t.Errorf("the row for %s lacks its default, %s:\n%s", field, written(byDefault), row)
		}
	}
}

// walk collects the paths of a schema's fields, "endpoints[].name", and their defaults.
func walk(schema map[string]any, path string, fields map[string]any) {
	for key, value := range schema {
		switch value := value.(type) {
		case map[string]any:
			switch key {
			case "properties":
				for name, field := range value {
					at := strings.TrimPrefix(path+"."+name, ".")
					field, _ := field.(map[string]any)
					if fields[at] == nil {
						fields[at] = field["default"]
					}
					walk(field, at, fields)
				}
			case "items":
				walk(value, path+"[]", fields)
			}
		case []any: // anyOf, oneOf
			for _, item := range value {
				if item, is := item.(map[string]any); is {
					walk(item, path, fields)
				}
			}
		}
	}
}

// written is a default as the page writes it.
func written(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case []any:
		return strings.ReplaceAll(fmt.Sprint(value), " ", ", ")
	default:
		return fmt.Sprint(value)
	}
}

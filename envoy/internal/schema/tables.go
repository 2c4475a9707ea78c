package schema

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Tables returns the tables of docs/configuration.md, by the names that its comments have.
func Tables() map[string]string {
	defaults := "| reply | `status` | `body` | `content_type` |\n|---|---|---|---|\n"
	for _, section := range []string{untrustedReply, healthyReply, unhealthy, unknown, draining, maintenance} {
		r := replies[section]
		body := "empty"
		if r.body != "" {
			body = "`" + r.body + "`"
		}
		if section == untrustedReply {
			section += "`, once its action is `reply"
		}
		defaults += fmt.Sprintf("| `%s` | %s | %s | `%s` |\n", section, shown(r.statusDefault), body, r.kind)
	}
	action := optional("action", nil, "`pass` lets the request go on to the application, `reply` answers it. Only for "+
		"`untrusted` (default: `pass`) and `healthy` (default: `reply`). Beside `pass` no other field is allowed")
	return map[string]string{
		"endpoints":        table("endpoints[].", endpointFields()),
		"trusted":          table("endpoints[].trusted.", trustedFields()),
		"replies":          table("….", append([]field{action}, replies[healthyReply].fields()...)),
		"reply defaults":   defaults,
		"maintenance keys": table("endpoints[].maintenance.", maintenanceFields()),
		"probes":           table("probes[].", probeFields()),
		"admin":            table("admin.", adminFields()),
	}
}

func table(prefix string, fields []field) string {
	var b strings.Builder
	if prefix == "…." { // of several sections, each with defaults of its own
		b.WriteString("| field | meaning |\n|---|---|\n")
		for _, f := range fields {
			fmt.Fprintf(&b, "| `%s%s` | %s |\n", prefix, f.name, f.text)
		}
		return b.String()
	}
	b.WriteString("| field | default | meaning |\n|---|---|---|\n")
	rows(&b, prefix, fields)
	return b.String()
}

func rows(b *strings.Builder, prefix string, fields []field) {
	for _, f := range fields {
		otherwise := ""
		switch {
		case f.shown != nil:
			otherwise = *f.shown
		case f.required:
			otherwise = "required"
		case f.schema["default"] != nil:
			otherwise = shown(f.schema["default"])
		}
		fmt.Fprintf(b, "| `%s%s` |%s | %s |\n", prefix, f.name, strings.TrimRight(" "+otherwise, " "), f.text)
		inside := "."
		if f.schema["type"] == "array" {
			inside = "[]."
		}
		rows(b, prefix+f.name+inside, f.rows)
	}
}

// shown writes a default as YAML in Markdown.
func shown(value any) string {
	switch v := value.(type) {
	case []string:
		return "`[" + strings.Join(v, ", ") + "]`"
	case string:
		return "`" + v + "`"
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // a number or a truth value can always be written
	}
	return "`" + string(text) + "`"
}

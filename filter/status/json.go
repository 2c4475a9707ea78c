package status

import "strconv"

// JSONType is the media type of JSON.
const JSONType = "application/health+json"

// JSON returns the document as JSON (RFC 8259).
func (d *Document) JSON() []byte {
	var b jsonWriter
	b.open('{')
	b.field("status").text(d.Level.String())
	b.field("serviceId").text(d.Node)
	b.field("description").text("health checks answered by healthgate")
	b.field("time").text(timestamp(d.Time))
	if d.Output != "" {
		b.field("output").text(d.Output)
	}
	if d.Note != "" {
		b.field("notes").texts([]string{d.Note})
	}
	b.field("checks").open('{')
	for _, checks := range [...]struct {
		list          []Check
		componentType string
	}{{d.Endpoints, "component"}, {d.Probes, "component"}, {d.System, "system"}} {
		for i := range checks.list {
			c := &checks.list[i]
			b.field(c.Component + ":" + c.Measurement).open('[')
			b.check(c, checks.componentType)
			b.close(']')
		}
	}
	b.close('}')
	b.close('}')
	return append(b.b, '\n')
}

func (b *jsonWriter) check(c *Check, componentType string) {
	b.open('{')
	b.field("componentId").text(c.Component)
	b.field("componentType").text(componentType)
	b.field("status").text(c.Level.String())
	if c.Value != "" {
		b.field("observedValue").raw(c.Value)
	}
	if c.Unit != "" {
		b.field("observedUnit").text(c.Unit)
	}
	b.optionalTime("time", c.Time)
	b.optionalTime("since", c.Since)
	if c.HTTPStatus != 0 {
		b.field("httpStatus").raw(strconv.Itoa(int(c.HTTPStatus)))
	}
	if c.Outcome != "" {
		b.field("outcome").text(c.Outcome)
	}
	if len(c.Paths) > 0 {
		b.field("affectedEndpoints").texts(c.Paths)
	}
	if c.Output != "" {
		b.field("output").text(c.Output)
	}
	if m := c.Maintenance; m != nil {
		b.field("maintenance").open('{')
		b.field("key").text(m.Key)
		b.field("value").text(m.Value)
		if m.Reason != "" {
			b.field("reason").text(m.Reason)
		}
		b.optionalTime("until", m.Until)
		b.close('}')
	}
	b.close('}')
}

// jsonWriter writes values one after the other, and the commas between them.
type jsonWriter struct {
	b     []byte
	comma bool // the next value or field needs one before it
}

func (b *jsonWriter) before() {
	if b.comma {
		b.b = append(b.b, ',')
	}
	b.comma = true
}

func (b *jsonWriter) open(bracket byte) {
	b.before()
	b.b, b.comma = append(b.b, bracket), false
}

func (b *jsonWriter) close(bracket byte) { b.b, b.comma = append(b.b, bracket), true }

func (b *jsonWriter) field(name string) *jsonWriter {
	b.text(name)
	b.b, b.comma = append(b.b, ':'), false
	return b
}

func (b *jsonWriter) raw(s string) {
	b.before()
	b.b = append(b.b, s...)
}

func (b *jsonWriter) text(s string) {
	b.before()
	b.b = append(b.b, '"')
	b.b = appendEscaped(b.b, s, jsonEscape)
	b.b = append(b.b, '"')
}

func (b *jsonWriter) texts(list []string) {
	b.open('[')
	for _, s := range list {
		b.text(s)
	}
	b.close(']')
}

func (b *jsonWriter) optionalTime(name string, ns int64) {
	if ns != 0 {
		b.field(name).text(timestamp(ns))
	}
}

// jsonEscape also escapes what would matter if the document stood in HTML, or on a terminal.
func jsonEscape(c rune) string {
	const hex = "0123456789abcdef"
	switch {
	case c == '"':
		return `\"`
	case c == '\\':
		return `\\`
	case c == '<' || c == '>' || c == '&' || steers(c):
		return `\u` + string([]byte{hex[c>>12], hex[c>>8&15], hex[c>>4&15], hex[c&15]})
	}
	return ""
}

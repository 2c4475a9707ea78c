package status

import (
	"strings"

	"github.com/valyala/fastjson/fastfloat"
)

// WantsHTML reports whether a request's Accept header (RFC 9110, section 12.5.1) asks for HTML by name, and at least as
// much as for JSON. A browser does; "*/*" or no header at all, from a program, does not.
func WantsHTML(accept string) bool {
	html, json := 0.0, 0.0
	for _, part := range strings.Split(accept, ",") {
		media, parameters, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/html", "text/*":
			html = max(html, quality(parameters))
		case JSONType, "application/json", "application/*":
			json = max(json, quality(parameters))
		}
	}
	return html > 0 && html >= json
}

// quality returns the weight among a media range's parameters, 1 if there is none or it can't be read.
func quality(parameters string) float64 {
	for _, p := range strings.Split(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.ToLower(name) == "q" {
			if q, err := fastfloat.Parse(value); err == nil {
				return q
			}
		}
	}
	return 1
}

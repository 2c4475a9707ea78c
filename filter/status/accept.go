package status

import "github.com/healthgate/healthgate/filter/lean/ascii"

// WantsHTML reports whether a request's Accept header (RFC 9110, section 12.5.1) asks for HTML by name, and at least as
// much as for JSON. A browser does; "*/*" or no header at all, from a program, does not.
func WantsHTML(accept string) bool {
	html, json := 0, 0
	for more := true; more; {
		var part string
		part, accept, more = ascii.Cut(accept, ",")
		media, parameters, _ := ascii.Cut(part, ";")
		switch ascii.Lower(ascii.TrimSpace(media)) {
		case "text/html", "text/*":
			html = max(html, quality(parameters))
		case JSONType, "application/json", "application/*":
			json = max(json, quality(parameters))
		}
	}
	return html > 0 && html >= json
}

// quality returns the weight among a media range's parameters in thousandths, 1000 if it is missing or cannot be
// read.
func quality(parameters string) int {
	for more := true; more; {
		var p string
		p, parameters, more = ascii.Cut(parameters, ";")
		name, value, _ := ascii.Cut(ascii.TrimSpace(p), "=")
		if ascii.Lower(name) == "q" {
			return thousandths(value)
		}
	}
	return 1000
}

// thousandths reads a qvalue (RFC 9110, section 12.4.2): 0 or 1, and up to three digits behind a point.
func thousandths(s string) int {
	if s == "" || len(s) > len("0.000") || s[0] != '0' || len(s) > 1 && s[1] != '.' {
		return 1000
	}
	n := 0
	for i := 2; i < len("0.000"); i++ {
		n *= 10
		if i < len(s) {
			if s[i] < '0' || s[i] > '9' {
				return 1000
			}
			n += int(s[i] - '0')
		}
	}
	return n
}

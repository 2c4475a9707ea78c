//go:build wasm

package main

import (
	"strings"

	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/status"
	"github.com/healthgate/healthgate/filter/verdict"
)

// showStatus answers the current request, at an endpoint of kind status and from a trusted source.
func (p *plugin) showStatus() {
	doc := status.Describe(p.config, p.node, p.view.record, p.clock)
	accept, _ := host.RequestHeader("accept") // none wants JSON
	body, contentType := doc.JSON(), status.JSONType
	if status.WantsHTML(accept) {
		path, _ := host.RequestHeader(":path")
		body, contentType = doc.HTML(strings.HasSuffix(path, status.Pause)), status.HTMLType
	}
	host.SendLocalResponse(doc.HTTPStatus(), details[verdict.Shown], string(body), host.EncodeHeaders([][2]string{
		{"content-type", contentType},
		{"cache-control", "no-store"},
		{"vary", "accept"},
		{"x-content-type-options", "nosniff"},
		{"content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
	}))
}

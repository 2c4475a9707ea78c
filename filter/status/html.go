package status

import "strconv"

// HTMLType is the media type of HTML.
const HTMLType = "text/html; charset=utf-8"

// Pause is the end of a path for which the page does not reload itself.
const Pause = "?pause"

// HTML returns the document as one page that needs no other resource and no script. It reloads itself unless it is
// paused. What is worst comes first.
func (d *Document) HTML(paused bool) []byte {
	h := htmlWriter{now: d.Time}
	h.raw(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width">`)
	footer := ` <a href="?">Go on`
	if !paused {
		h.raw(`<meta http-equiv="refresh" content="5">`)
		footer = `, reloaded every 5 seconds. <a href="` + Pause + `">Pause`
	}
	h.raw(`<title>`)
	h.heading(d)
	h.raw(" · ")
	h.text(d.Node)
	h.raw(`</title><style>` + style + `</style><main><header class="`)
	h.raw(class(d.Level))
	h.raw(`"><h1><b>`)
	h.heading(d)
	h.raw(`</b> `)
	h.text(d.Node)
	h.raw(`</h1>`)
	if len(d.Output) < 300 { // else the cards say it
		h.paragraph(d.Output)
	}
	h.paragraph(d.Note)
	h.raw(`</header>`)
	if len(d.Endpoints) > 0 {
		h.raw(`<h2>Health checks</h2><div class="cards">`)
		for i := range d.Endpoints {
			h.endpoint(&d.Endpoints[i])
		}
		h.raw(`</div>`)
	}
	if len(d.Probes) > 0 {
		h.raw(`<div class="wide"><table><caption>Probes<thead><tr>` +
			`<th>Probe<th>State<th>For<th>Answer<th>Latency<th>Last asked<tbody>`)
		for i := range d.Probes {
			h.probe(&d.Probes[i])
		}
		h.raw(`</table></div>`)
	}
	if len(d.System) > 0 {
		h.raw(`<div class="wide"><table><caption>Envoy<tbody>`)
		for i := range d.System {
			h.system(&d.System[i])
		}
		h.raw(`</table></div>`)
	}
	h.raw(`<footer><p>As of `)
	h.time(d.Time, timestamp(d.Time))
	h.raw(footer)
	h.raw(`</a><p>Answered by healthgate.</footer></main>` + "\n")
	return h.b
}

// heading says how all is, and of how many health checks it is so.
func (h *htmlWriter) heading(d *Document) {
	h.raw([...]string{"Healthy", "Needs a look", "Out of rotation", "Failing"}[d.Level])
	n := 0
	for i := range d.Endpoints {
		if d.Endpoints[i].Level == d.Level {
			n++
		}
	}
	if n > 0 {
		h.raw(": ")
		h.number(n)
		h.raw(" of ")
		h.number(len(d.Endpoints))
	}
}

// class is the CSS class of a level. Planned maintenance is not shown as an outage.
func class(l Level) string {
	if l == Planned {
		l = Warn
	}
	return l.String()
}

func (h *htmlWriter) endpoint(c *Check) {
	h.raw(`<section class="`)
	h.raw(class(c.Level))
	h.raw(`"><h3>`)
	h.text(c.Component)
	h.raw(`</h3><p class="state">`)
	h.text(c.Value[1 : len(c.Value)-1])
	if c.HTTPStatus != 0 {
		h.raw(` <span>checks get `)
		h.number(int(c.HTTPStatus))
		h.raw(`</span>`)
	}
	h.raw(`</p><p class="dim">`)
	for i, path := range c.Paths {
		if i > 0 {
			h.raw(`<br>`)
		}
		h.text(path)
	}
	h.raw(`</p>`)
	m := c.Maintenance
	if m == nil {
		h.paragraph(c.Output)
		h.raw(`</section>`)
		return
	}
	h.raw(`<dl>`)
	if m.Reason != "" {
		h.raw(`<dt>Reason<dd>`)
		h.text(m.Reason)
	}
	h.raw(`<dt>Key<dd>`)
	h.text(m.Key)
	h.raw(" = ")
	h.text(m.Value)
	if m.Until != 0 {
		h.raw(`<dt>Ends<dd>in `)
		h.time(m.Until, age(m.Until-h.now))
	}
	h.raw(`</dl></section>`)
}

func (h *htmlWriter) probe(c *Check) {
	h.raw(`<tr class="`)
	h.raw(c.Level.String())
	h.raw(`"><th scope="row">`)
	h.text(c.Component)
	h.raw(`<td class="state">`)
	switch c.Level {
	case Pass:
		h.raw(`healthy`)
	case Warn:
		h.text(c.Output)
	case Fail:
		h.raw(`unhealthy`)
	}
	h.raw(`<td>`)
	if c.Since != 0 {
		h.time(c.Since, age(h.now-c.Since))
	}
	h.raw(`<td>`)
	if c.HTTPStatus != 0 {
		h.number(int(c.HTTPStatus))
	} else {
		h.raw(c.Outcome)
	}
	h.raw(`<td>`)
	if c.Value != "" {
		h.text(c.Value)
		h.raw(" ")
		h.text(c.Unit)
	}
	h.raw(`<td>`)
	h.ago(c.Time)
}

// system writes a line for each of what docs/status.md calls the system's checks.
func (h *htmlWriter) system(c *Check) {
	h.raw(`<tr class="`)
	h.raw(class(c.Level))
	h.raw(`"><th scope="row">`)
	switch c.Component {
	case "envoy":
		h.raw(`Draining`)
	case "runtime":
		h.raw(`Runtime keys read`)
	case "snapshot":
		h.raw(`Shared record written`)
	}
	h.raw(`<td class="state">`)
	switch {
	case c.Output != "":
		h.text(c.Output)
	case c.Component == "envoy":
		h.raw(`no`)
	default:
		h.ago(c.Time)
	}
}

// htmlWriter writes text with HTML's own characters escaped.
type htmlWriter struct {
	b   []byte
	now int64
}

func (h *htmlWriter) raw(s string) { h.b = append(h.b, s...) }

func (h *htmlWriter) number(n int) { h.raw(strconv.Itoa(n)) }

func (h *htmlWriter) text(s string) { h.b = appendEscaped(h.b, s, htmlEscape) }

func (h *htmlWriter) paragraph(s string) {
	if s != "" {
		h.raw(`<p>`)
		h.text(s)
		h.raw(`</p>`)
	}
}

func (h *htmlWriter) ago(t int64) {
	if t != 0 {
		h.time(t, age(h.now-t)+" ago")
	}
}

// time writes a time as a text, and itself for whoever points at it.
func (h *htmlWriter) time(t int64, text string) {
	stamp := timestamp(t)
	h.raw(`<time datetime="`)
	h.raw(stamp + `" title="` + stamp + `">` + text + `</time>`)
}

// htmlEscape makes a character harmless in HTML's text and quoted attributes.
func htmlEscape(c rune) string {
	switch {
	case c == '&':
		return "&amp;"
	case c == '<':
		return "&lt;"
	case c == '>':
		return "&gt;"
	case c == '"':
		return "&#34;"
	case c == '\'':
		return "&#39;"
	case c != '\n' && c != '\t' && steers(c):
		return "\uFFFD"
	}
	return ""
}

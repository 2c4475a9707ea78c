package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Parse reads a plugin configuration, JSON or a serialized google.protobuf.Struct. The error is an *Error with the place of the first mistake.
func Parse(text []byte, node Node) (*Config, error) {
	d := &decoder{}
	c := d.config(text, node)
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

func (d *decoder) config(text []byte, node Node) *Config {
	if len(text) == 0 {
		d.fail("", "there is none; give the plugin a JSON configuration with at least one endpoint")
		return nil
	}
	if len(text) > MaxBytes {
		d.fail("", strconv.Itoa(len(text))+" bytes are more than "+strconv.Itoa(MaxBytes))
		return nil
	}
	root, err := fastjson.ParseBytes(text)
	if err != nil {
		var notStruct error
		if root, notStruct = parseStruct(text); notStruct != nil {
			d.fail("", "not JSON: "+firstLine(err.Error()))
			return nil
		}
	}
	c := &Config{}
	o := d.object(root, "")
	c.Admin = d.admin(o.take("admin"))
	d.probes(o, c)
	b := &endpointReader{decoder: d, config: c, node: node, keys: map[string]int{}}
	count := o.list("endpoints", b.endpoint)
	o.done()
	if count == 0 {
		d.fail("endpoints", "is required, with at least one endpoint")
	}
	if d.err == nil {
		c.Fingerprint = fingerprint(c)
	}
	return c
}

// firstLine keeps a parser's message short: fastjson quotes the whole rest of the document.
func firstLine(s string) string {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if len(s) > 160 {
		s = s[:160] + "…"
	}
	return s
}

func (d *decoder) admin(v *fastjson.Value) *Admin {
	if v == nil {
		return nil
	}
	o := d.object(v, "admin")
	a := &Admin{
		Cluster:     o.needStr("cluster"),
		Interval:    o.duration("interval", minInterval, maxInterval, time.Second),
		Timeout:     o.duration("timeout", minTimeout, maxTimeout, 500*time.Millisecond),
		MaxAge:      o.duration("max_age", minInterval, 24*time.Hour, 10*time.Second),
		FailOnStale: o.oneOf("on_stale", "keep", "fail") == "fail",
	}
	o.done()
	if a.MaxAge < a.Interval {
		d.fail("admin.max_age", a.MaxAge.String()+" is shorter than admin.interval, "+a.Interval.String())
	}
	return a
}

// Bounds of intervals and timeouts. The lower ones keep a slip of the unit ("1ms") from flooding an application.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
	minTimeout  = 10 * time.Millisecond
	maxTimeout  = time.Minute
)

func (d *decoder) probes(root *object, c *Config) {
	root.list("probes", func(v *fastjson.Value, place string) {
		if len(c.Probes) == MaxProbes {
			d.fail(place, "there are more than "+strconv.Itoa(MaxProbes)+" probes")
			return
		}
		o := d.object(v, place)
		p := Probe{
			Name:               o.name(),
			Cluster:            o.needStr("cluster"),
			Path:               o.needStr("path"),
			Host:               o.str("host", "localhost"),
			Method:             o.str("method", "GET"),
			Interval:           o.duration("interval", minInterval, maxInterval, time.Second),
			Timeout:            o.duration("timeout", minTimeout, maxTimeout, 500*time.Millisecond),
			UnhealthyThreshold: o.integer("unhealthy_threshold", 1, 1000, 1),
			HealthyThreshold:   o.integer("healthy_threshold", 1, 1000, 1),
		}
		o.list("expected_statuses", func(v *fastjson.Value, place string) {
			r := d.object(v, place)
			s := StatusRange{r.integer("start", 100, 599, 100), r.integer("end", 101, 600, 600)}
			r.done()
			if s.Start >= s.End {
				d.fail(place, "is empty: end is not part of the range and must be greater than start")
			}
			p.ExpectedStatuses = append(p.ExpectedStatuses, s)
		})
		o.done()
		if len(p.ExpectedStatuses) == 0 {
			p.ExpectedStatuses = []StatusRange{{200, 201}}
		}
		d.requestPath(p.Path, o.at("path"), true)
		d.token(p.Method, o.at("method"))
		d.fieldValue(p.Host, o.at("host"))
		for _, other := range c.Probes {
			if other.Name == p.Name {
				d.fail(o.at("name"), quote(p.Name)+" is the name of another probe")
			}
		}
		c.Probes = append(c.Probes, p)
	})
}

// name reads a required name. Names become parts of metric names, so they keep to what Prometheus labels and Envoy's
// tag extraction carry without escaping.
func (o *object) name() string {
	s := o.needStr("name")
	if len(s) > 64 {
		o.d.fail(o.at("name"), "is longer than 64 characters")
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && c != '-' && c != '.' {
			o.d.fail(o.at("name"), quote(s)+" has characters other than letters, digits, '_', '-' and '.'")
		}
	}
	return s
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// requestPath checks a path as it stands in a request line. Only a probe's may have a query.
func (d *decoder) requestPath(s, place string, query bool) {
	if d.err == nil && s[0] != '/' {
		d.fail(place, quote(s)+" does not start with a slash")
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			d.fail(place, quote(s)+" has a character that no request path has; percent-encode it")
		case c == '?' && !query:
			d.fail(place, quote(s)+" has a query; paths are compared without it")
		}
	}
}

// token checks an HTTP method or header name (RFC 9110, section 5.6.2).
func (d *decoder) token(s, place string) {
	if s == "" {
		d.fail(place, "must not be empty")
	}
	for i := 0; i < len(s); i++ {
		if !isAlphanumeric(s[i]) && !strings.Contains("!#$%&'*+-.^_`|~", s[i:i+1]) {
			d.fail(place, quote(s)+" is not an HTTP token")
		}
	}
}

// fieldValue checks a header value (RFC 9110, section 5.5): no control characters, so nothing can be injected.
func (d *decoder) fieldValue(s, place string) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			d.fail(place, quote(s)+" has a control character")
		}
	}
}

package config

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lean/json"
)

// Parse reads a plugin configuration, JSON or a serialized google.protobuf.Struct. The error is an *Error with the
// place of the first mistake.
func Parse(text []byte, node Node) (*Config, error) {
	d := &decoder{}
	c := &Config{}
	d.config(text, node, c)
	if len(d.errs) > 0 {
		return nil, &d.errs[0]
	}
	c.Fingerprint, c.EndpointsFingerprint = fingerprint(c), endpointsFingerprint(c)
	return c, nil
}

// Mistakes returns what Parse refuses, all of it as far as it can be told, at most MaxMistakes.
func Mistakes(text []byte, node Node) []Error {
	d := &decoder{}
	d.config(text, node, &Config{})
	return d.errs
}

func (d *decoder) config(text []byte, node Node, c *Config) {
	if len(text) == 0 {
		d.fail("", "there is none; give the plugin a JSON configuration with at least one endpoint")
		return
	}
	if len(text) > MaxBytes {
		d.failAs(Relation, "", strconv.Itoa(len(text))+" bytes are more than "+strconv.Itoa(MaxBytes))
		return
	}
	root, err := json.Parse(text)
	if err != nil {
		var notStruct error
		if root, notStruct = json.Parse(structJSON(text)); notStruct != nil {
			d.fail("", "not JSON: "+err.Error())
			return
		}
	}
	o := d.object(root, "")
	if c.Admin = d.admin(o.sub("admin")); c.Admin != nil {
		c.warn("admin.max_age", duration.Text(c.Admin.MaxAge), tooShort(c.Admin))
	}
	for l := o.list("probes"); l.next(); {
		d.probe(l.value, l.place(), c)
	}
	r := &endpointReader{decoder: d, config: c, node: node}
	for l := o.list("endpoints"); l.next(); {
		r.endpoint(l.value, l.place())
	}
	o.done()
	if len(c.Endpoints) == 0 {
		d.fail("endpoints", "is required, with at least one endpoint")
	}
}

func (d *decoder) admin(o *object) *Admin {
	if o == nil {
		return nil
	}
	a := &Admin{
		Cluster:     o.needStr("cluster"),
		Interval:    o.duration("interval", MinInterval, MaxInterval, DefaultInterval),
		Timeout:     o.duration("timeout", MinTimeout, MaxTimeout, DefaultAdminTimeout),
		MaxAge:      o.duration("max_age", MinInterval, MaxMaxAge, DefaultMaxAge),
		FailOnStale: o.choose("on_stale", "keep", "fail"),

		IgnoreDraining: o.choose("draining", "poll", "ignore"),
	}
	o.done()
	if a.MaxAge < a.Interval {
		o.relates("max_age", duration.Text(a.MaxAge)+" is shorter than admin.interval, "+duration.Text(a.Interval))
	}
	return a
}

func (d *decoder) probe(v json.Value, place string, c *Config) {
	if len(c.Probes) == MaxProbes {
		d.fail(place, "there are more than "+strconv.Itoa(MaxProbes)+" probes")
		return
	}
	o := d.object(v, place)
	p := Probe{Name: o.name(), Timeout: DefaultProbeTimeout}
	if d.stats(o, &p, c.Admin); !p.OfEnvoy() {
		p.Cluster = o.needStr("cluster")
	}
	usual := DefaultInterval
	if g := o.sub("on_demand"); g != nil {
		p.OnDemand = g.duration("max_age", MinInterval, MaxInterval, DefaultInterval)
		g.done()
		o.refuse("interval unhealthy_threshold healthy_threshold min_unhealthy", "is not for a probe on demand")
		usual, c.OnDemand = MaxInterval, true // whoever asks the same at intervals comes first
	}
	p.Interval = o.duration("interval", MinInterval, MaxInterval, usual)
	p.Timeout = o.duration("timeout", MinTimeout, MaxTimeout, p.Timeout)
	p.UnhealthyThreshold = o.integer("unhealthy_threshold", 1, MaxThreshold, DefaultThreshold)
	p.HealthyThreshold = o.integer("healthy_threshold", 1, MaxThreshold, DefaultThreshold)
	p.MinUnhealthy = o.duration("min_unhealthy", 0, MaxInterval, 0)
	p.Host, p.Method = o.str("host", DefaultProbeHost), o.str("method", DefaultProbeMethod)
	if g := o.sub("grpc"); g != nil {
		p.GRPC, p.Service = true, g.str("service", "")
		g.fail("service", checkService(p.Service))
		g.done()
		p.Method, p.Path = "POST", GRPCCheck
		o.refuse("path method expected_statuses", "is not for a gRPC probe")
	} else if p.Path == "" {
		p.Path = o.needStr("path")
	}
	for l := o.list("expected_statuses"); l.next(); {
		r := d.object(l.value, l.place())
		s := StatusRange{r.integer("start", MinProbeStatus, MaxProbeStatus, MinProbeStatus),
			r.integer("end", MinProbeStatus+1, MaxProbeStatus+1, MaxProbeStatus+1)}
		r.done()
		if s.Start >= s.End {
			d.failAs(Relation, r.place, "is empty: end is not part of the range and must be greater than start")
		}
		p.ExpectedStatuses = append(p.ExpectedStatuses, s)
	}
	o.done()
	if len(p.ExpectedStatuses) == 0 {
		p.ExpectedStatuses = []StatusRange{{200, 201}}
	}
	o.fail("path", checkTarget(p.Path, true))
	o.fail("method", checkToken(p.Method))
	o.fail("host", checkFieldValue(p.Host))
	c.warn(o.at("method"), p.Method, neverMethod(p.Method))
	c.warn(o.at("host"), p.Host, neverHost(p.Host))
	for i := range c.Probes {
		if c.Probes[i].Name == p.Name {
			o.relates("name", quote(p.Name)+" is the name of another probe")
		}
	}
	c.Probes = append(c.Probes, p)
}

// name reads a required name. Names become parts of metric names, so they keep to what Prometheus labels and Envoy's
// tag extraction carry without escaping.
func (o *object) name() string {
	s := o.needStr("name")
	if len(s) > MaxName {
		o.fail("name", "is longer than "+strconv.Itoa(MaxName)+" characters")
	}
	if !consistsOf(s, "_-.") {
		o.fail("name", quote(s)+" has characters other than letters, digits, '_', '-' and '.'")
	}
	return s
}

// The functions below return what is wrong with a string, "" if nothing is.

// checkTarget checks a path as it stands in a request line. Only a probe's may have a query.
func checkTarget(s string, query bool) (wrong string) {
	if s != "" && s[0] != '/' {
		return quote(s) + " does not start with a slash"
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			return quote(s) + " has a character that no request path has; percent-encode it"
		case c == '?' && !query:
			return quote(s) + " has a query; paths are compared without it"
		}
	}
	return ""
}

func checkPath(s string) (wrong string) { return checkTarget(s, false) }

// checkService checks the name of a service of gRPC.
func checkService(s string) (wrong string) {
	if len(s) > MaxService || !consistsOf(s, "_-./:") {
		return quote(s) + " is not the name of a gRPC service"
	}
	return ""
}

// checkToken checks an HTTP method or header name (RFC 9110, section 5.6.2).
func checkToken(s string) (wrong string) {
	if s == "" {
		return "must not be empty"
	}
	if !consistsOf(s, "!#$%&'*+-.^_`|~") {
		return quote(s) + " is not an HTTP token"
	}
	return ""
}

func checkKey(s string) (wrong string) {
	if len(s) > MaxKeyBytes {
		return quote(s) + " is longer than " + strconv.Itoa(MaxKeyBytes) + " bytes"
	}
	return ""
}

// checkFieldValue checks a header value (RFC 9110, section 5.5): no control characters, so nothing can be injected.
func checkFieldValue(s string) (wrong string) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return quote(s) + " has a control character"
		}
	}
	return ""
}

func checkHost(s string) (wrong string) {
	if hasAny(s, "*/ ") {
		return quote(s) + " is not a host name; wildcards are not supported"
	}
	return checkFieldValue(s)
}

// hasAny is strings.ContainsAny for ASCII, without the kilobyte of code which that one has.
func hasAny(s, chars string) bool {
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(chars, s[i]) >= 0 {
			return true
		}
	}
	return false
}

// consistsOf reports whether a string has only letters and digits of ASCII, and others.
func consistsOf(s, others string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if letter := c | 0x20; (letter < 'a' || letter > 'z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

package config

import (
	"sort"
	"strings"

	"github.com/valyala/fastjson"
)

// replyRules says what one of an endpoint's replies may be.
type replyRules struct {
	field                               string
	mayPass, passByDefault, mayUseProbe bool
	defaults                            Reply
	contentType                         string
}

// reply reads one of an endpoint's reply sections.
func (r *endpointReader) reply(endpoint *object, rules replyRules) Reply {
	out := rules.defaults
	out.Headers = [][2]string{{"content-type", rules.contentType}}
	v := endpoint.take(rules.field)
	if v == nil {
		out.Pass = rules.passByDefault
		return out
	}
	o := r.object(v, endpoint.at(rules.field))
	if rules.mayPass {
		choices := []string{"reply", "pass"}
		if rules.passByDefault {
			choices = []string{"pass", "reply"}
		}
		if o.oneOf("action", choices...) == "pass" {
			// A status or body beside "pass" would never be sent, so they are refused.
			if name := o.first(); name != "" {
				r.fail(o.at(name), `is never sent: the action is "pass"`)
			}
			return Reply{Pass: true}
		}
	}
	out = r.replyFields(o, out, rules)
	o.done()
	return out
}

// replyFields reads status, body, content_type and headers over the defaults.
func (r *endpointReader) replyFields(o *object, out Reply, rules replyRules) Reply {
	if v := o.take("status"); v != nil {
		switch {
		case v.Type() != fastjson.TypeString:
			out.ProbeStatus, out.Status = false, r.integer(v, o.at("status"), 200, 599)
		case !rules.mayUseProbe:
			r.fail(o.at("status"), "is a string, must be a number")
		case string(v.GetStringBytes()) != "probe":
			r.fail(o.at("status"), v.String()+` is neither a status nor "probe"`)
		}
	}
	out.Body = o.str("body", out.Body)
	if out.Body != "" && (out.Status == 204 || out.Status == 205 || out.Status == 304) {
		r.fail(o.at("body"), "must be empty: a reply with this status has no body")
	}
	contentType := o.str("content_type", rules.contentType)
	r.fieldValue(contentType, o.at("content_type"))
	out.Headers = nil
	if contentType != "" {
		out.Headers = append(out.Headers, [2]string{"content-type", contentType})
	}
	v := o.take("headers")
	if v == nil {
		return out
	}
	h := r.object(v, o.at("headers"))
	names := make([]string, 0, len(h.fields))
	for name := range h.fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r.token(name, h.at(name))
		value := h.needStr(name)
		r.fieldValue(value, h.at(name))
		lower := strings.ToLower(name)
		switch lower {
		case "content-type":
			r.fail(h.at(name), "has a field of its own, content_type")
		case "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive":
			r.fail(h.at(name), "is Envoy's to set")
		}
		out.Headers = append(out.Headers, [2]string{lower, value})
	}
	return out
}

package config

import (
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/json"
)

// local is a local reply with a content-type.
func local(status uint32, body, contentType string) Reply {
	return Reply{Status: status, Body: body, Headers: [][2]string{{"content-type", contentType}}}
}

const notGRPC = "is not for an endpoint of gRPC"

// reply reads one of an endpoint's reply sections over what holds if it says nothing, as replyFields does.
func (o *object) reply(name string, mayPass bool, out Reply) Reply {
	section := o.sub(name)
	if section == nil {
		return out
	}
	if mayPass {
		if out.Pass {
			out.Pass = !section.choose("action", "pass", "reply")
		} else {
			out.Pass = section.choose("action", "reply", "pass")
		}
		if out.Pass {
			// A status or body beside "pass" would never be sent, so they are refused.
			section.refuseRest(`is never sent: the action is "pass"`)
			return Reply{Pass: true}
		}
	}
	section.replyFields(&out)
	section.done()
	return out
}

// replyFields reads status, body, content_type and headers over the defaults, which out has: it keeps their headers. If
// the default is the failing probe's status, the section may say so too.
func (o *object) replyFields(out *Reply) {
	switch o.kind("status") {
	case json.Absent:
	case json.String:
		s := o.str("status", "")
		if !out.ProbeStatus {
			o.fail("status", "is a string, must be a number")
		} else if s != "probe" {
			o.fail("status", quote(s)+` is neither a status nor "probe"`)
		}
	default:
		out.ProbeStatus, out.Status = false, o.integer("status", MinStatus, MaxStatus, 0)
	}
	out.Body = o.str("body", out.Body)
	if out.Body != "" && (out.Status == 204 || out.Status == 205 || out.Status == 304) {
		o.relates("body", "must be empty: a reply with this status has no body")
	}
	more := out.Headers
	contentType := out.ContentType()
	if contentType != "" {
		more = more[1:]
	}
	contentType = o.str("content_type", contentType)
	o.fail("content_type", checkFieldValue(contentType))
	out.Headers = nil
	if contentType != "" {
		out.Headers = append(out.Headers, [2]string{"content-type", contentType})
	}
	out.Headers = append(out.Headers, more...)
	if headers := o.sub("headers"); headers != nil {
		out.Headers = append(out.Headers, headers.replyHeaders()...)
	}
}

// replyHeaders reads an object of headers, sorted by their names as they are spelled.
func (o *object) replyHeaders() [][2]string {
	headers := make([][2]string, len(o.left))
	for i := range headers {
		name := o.left[0].name // needStr takes it
		o.fail(name, checkToken(name))
		headers[i] = [2]string{ascii.Lower(name), o.needStr(name)}
		o.fail(name, checkFieldValue(headers[i][1]))
		switch headers[i][0] {
		case "content-type":
			o.fail(name, "has a field of its own, content_type")
		case "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive":
			o.fail(name, "is Envoy's to set")
		}
	}
	return headers
}

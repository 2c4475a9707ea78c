package reach

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// mapped visits the mappers of a connection manager that may give an answer of a plugin's another status.
func (e *Envoy) mapped(d *door, c *check, answer config.Reply, visit func(status float64)) {
	for _, mapper := range list(d.manager, "local_reply_config", "mappers") {
		status, is := dump.At(mapper, "status_code").(float64)
		if is && status != float64(answer.Status) && e.touches(c, object(mapper, "filter"), float64(answer.Status)) {
			visit(status)
		}
	}
}

// replies says where Envoy may make a success of the plugin's answer in maintenance, or when it drains, and another
// answer of a success.
func (e *Envoy) replies(d *door, c *check) (out []Gap) {
	for _, answer := range []config.Reply{c.endpoint.Maintenance.Reply, c.endpoint.Draining} {
		e.mapped(d, c, answer, func(status float64) {
			gap := c.doubt("%s: its local_reply_config may make %g of the status that healthgate answers", d.where, status)
			if status < 400 && !slices.Contains(out, gap) {
				out = append(out, gap)
			}
		})
	}
	if c.endpoint.Healthy.Pass || c.endpoint.GRPC {
		return out
	}
	e.mapped(d, c, c.endpoint.Healthy, func(status float64) {
		if status >= 300 {
			out = append(out, c.refusal("%s: its local_reply_config may make %g of the %d that %q has when all is well", d.where,
				status, c.endpoint.Healthy.Status, c.endpoint.Name))
		}
	})
	return out
}

// Replaced says where another error is answered than the plugin's, which is one for a load balancer all the same: of
// endpoints that are asked for.
func (e *Envoy) Replaced(of func(endpoint string) bool) (out []string) {
	e.eachPath(func(p *Plugin, c *check) {
		if c.endpoint.Kind != config.KindHealthCheck || c.endpoint.GRPC || !of(c.endpoint.Name) {
			return
		}
		for _, d := range e.doors {
			if !d.has(p) {
				continue
			}
			e.mapped(d, c, c.endpoint.Maintenance.Reply, func(status float64) {
				what := fmt.Sprintf("%s: its local_reply_config may make %g of the %d that %q has in maintenance", d.where,
					status, c.endpoint.Maintenance.Reply.Status, c.endpoint.Name)
				if status >= 400 && !slices.Contains(out, what) {
					out = append(out, what)
				}
			})
		}
	})
	return out
}

// touches reports whether a filter of local replies may take an answer of a plugin's: by its status, by what its check
// has, or by a condition that this command does not know.
func (e *Envoy) touches(c *check, filter map[string]any, status float64) bool {
	may := func(of any) bool { return e.touches(c, object(of), status) }
	comparison := object(filter, "status_code_filter", "comparison")
	limit, known := e.limit(object(comparison, "value"))
	switch op := text(comparison, "op"); {
	case len(filter) != 1:
		return true
	case filter["response_flag_filter"] != nil: // healthgate's answer has none
		return false
	case filter["header_filter"] != nil:
		return c.headerFits(dump.At(filter, "header_filter", "header")).fit != no
	case filter["and_filter"] != nil:
		return !slices.ContainsFunc(list(filter, "and_filter", "filters"), func(of any) bool { return !may(of) })
	case filter["or_filter"] != nil:
		return slices.ContainsFunc(list(filter, "or_filter", "filters"), may)
	case comparison == nil || !known:
		return true
	case op == "GE":
		return status >= limit
	case op == "LE":
		return status <= limit
	case op == "NE":
		return status != limit
	case op == "" || op == "EQ":
		return status == limit
	}
	return true
}

// limit returns a number that runtime may set; false when what that says is not known.
func (e *Envoy) limit(value map[string]any) (limit float64, known bool) {
	limit, _ = value["default_value"].(float64)
	key := text(value, "runtime_key")
	switch {
	case key == "":
		return limit, true
	case e.Runtime == nil:
		return 0, false
	case e.Runtime.Entries[key].Value == "":
		return limit, true
	}
	limit, err := strconv.ParseFloat(e.Runtime.Entries[key].Value, 64)
	return limit, err == nil
}

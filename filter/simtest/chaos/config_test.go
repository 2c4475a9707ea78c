package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A configuration as far as plans vary it. The oracle reads this one, and the plugin the JSON that is made of it.
type (
	settings struct {
		endpoints []endpoint
		probes    []probe
		admin     *admin
	}
	endpoint struct {
		name      string
		policy    string   // all, any, a number, or status for an endpoint of that kind
		probes    []string // none if empty
		key       string   // of maintenance; "-" for none
		healthy   string   // reply or pass
		untrusted string   // pass or reply
		degraded  string   // a probe; "" for none
		grpc      bool     // checks are of gRPC
	}
	probe struct {
		name               string
		interval, timeout  time.Duration
		unhealthy, healthy int // thresholds
		minUnhealthy       time.Duration
		grpc               bool
		gauge              bool          // it reads a gauge of Envoy's
		onDemand           time.Duration // max_age; 0 for a probe at intervals
	}
	admin struct {
		interval, timeout, maxAge time.Duration
		onStale                   string // keep or fail
		draining                  string // poll or ignore
	}
)

const (
	endpointForm = "endpoint %s policy=%s probes=%s key=%s healthy=%s untrusted=%s"
	degradedForm = " degraded=" // behind it, if there is one
	probeForm    = "probe %s interval=%s timeout=%s unhealthy=%d healthy=%d"
	heldForm     = " min_unhealthy=" // behind it, if there is one
	demandForm   = " on_demand="     // likewise
	grpcForm     = " grpc"           // likewise
	gaugeForm    = " gauge"          // likewise
	adminForm    = "admin interval=%s timeout=%s max_age=%s on_stale=%s draining=%s"
)

func (s *settings) String() string {
	var b strings.Builder
	for _, e := range s.endpoints {
		names := "-"
		if len(e.probes) > 0 {
			names = strings.Join(e.probes, ",")
		}
		fmt.Fprintf(&b, endpointForm, e.name, e.policy, names, e.key, e.healthy, e.untrusted)
		if e.degraded != "" {
			b.WriteString(degradedForm + e.degraded)
		}
		if e.grpc {
			b.WriteString(grpcForm)
		}
		b.WriteString("\n")
	}
	for _, p := range s.probes {
		fmt.Fprintf(&b, probeForm, p.name, p.interval, p.timeout, p.unhealthy, p.healthy)
		if p.minUnhealthy > 0 {
			fmt.Fprintf(&b, heldForm+"%s", p.minUnhealthy)
		}
		if p.onDemand > 0 {
			fmt.Fprintf(&b, demandForm+"%s", p.onDemand)
		}
		if p.grpc {
			b.WriteString(grpcForm)
		}
		if p.gauge {
			b.WriteString(gaugeForm)
		}
		b.WriteString("\n")
	}
	if a := s.admin; a != nil {
		fmt.Fprintf(&b, adminForm+"\n", a.interval, a.timeout, a.maxAge, a.onStale, a.draining)
	}
	return b.String()
}

// read takes one line of the text form.
func (s *settings) read(line string) (err error) {
	texts := [4]string{}
	duration := func(i int) time.Duration {
		d, bad := time.ParseDuration(texts[i])
		if bad != nil {
			err = bad
		}
		return d
	}
	switch {
	case strings.HasPrefix(line, "endpoint "):
		e := endpoint{}
		line, e.grpc = strings.CutSuffix(line, grpcForm)
		line, e.degraded, _ = strings.Cut(line, degradedForm)
		_, err = fmt.Sscanf(line, endpointForm, &e.name, &e.policy, &texts[0], &e.key, &e.healthy, &e.untrusted)
		if texts[0] != "-" {
			e.probes = strings.Split(texts[0], ",")
		}
		s.endpoints = append(s.endpoints, e)
	case strings.HasPrefix(line, "probe "):
		p := probe{}
		line, p.gauge = strings.CutSuffix(line, gaugeForm)
		line, p.grpc = strings.CutSuffix(line, grpcForm)
		line, demand, _ := strings.Cut(line, demandForm)
		line, held, _ := strings.Cut(line, heldForm)
		texts[2], texts[3] = cmp.Or(held, "0s"), cmp.Or(demand, "0s")
		if _, err = fmt.Sscanf(line, probeForm, &p.name, &texts[0], &texts[1], &p.unhealthy, &p.healthy); err == nil {
			p.interval, p.timeout, p.minUnhealthy, p.onDemand = duration(0), duration(1), duration(2), duration(3)
		}
		s.probes = append(s.probes, p)
	case strings.HasPrefix(line, "admin "):
		a := &admin{}
		if _, err = fmt.Sscanf(line, adminForm, &texts[0], &texts[1], &texts[2], &a.onStale, &a.draining); err == nil {
			a.interval, a.timeout, a.maxAge = duration(0), duration(1), duration(2)
		}
		s.admin = a
	default:
		err = fmt.Errorf("neither endpoint, probe nor admin: %s", line)
	}
	return err
}

// json is the configuration that the plugin gets.
func (s *settings) json() string {
	type object = map[string]any
	c := object{}
	var endpoints, probes []object
	for _, e := range s.endpoints {
		o := object{"name": e.name, "paths": []string{"/" + e.name}, "trusted": object{"cidrs": []string{"10.0.0.0/8"}}}
		if e.grpc {
			delete(o, "paths")
			o["grpc"] = true
		}
		if e.untrusted == "reply" {
			o["untrusted"] = object{"action": "reply"}
		}
		if e.policy == "status" {
			o["kind"] = "status"
			endpoints = append(endpoints, o)
			continue
		}
		if e.healthy == "pass" {
			o["healthy"] = object{"action": "pass"}
		}
		if e.key != "-" {
			o["maintenance"] = object{"keys": []string{e.key}}
		}
		if len(e.probes) > 0 {
			var policy any = e.policy
			if n := e.need(); e.policy != "all" && e.policy != "any" {
				policy = object{"at_least": n}
			}
			o["probes"] = object{"names": e.probes, "policy": policy}
		}
		if e.degraded != "" {
			o["degraded"] = object{"probes": []string{e.degraded}, "headers": object{"x-degraded": "1"}}
		}
		endpoints = append(endpoints, o)
	}
	for _, p := range s.probes {
		o := object{"name": p.name, "timeout": p.timeout.String()}
		if p.onDemand > 0 {
			o["on_demand"] = object{"max_age": p.onDemand.String()}
		} else {
			o["interval"], o["unhealthy_threshold"], o["healthy_threshold"] = p.interval.String(), p.unhealthy, p.healthy
		}
		// Fields that a plan does not need are left out: the plugin of an old plan would refuse what it does not know.
		if p.minUnhealthy > 0 {
			o["min_unhealthy"] = p.minUnhealthy.String()
		}
		switch {
		case p.gauge:
			o["gauge"] = object{"stat": p.name, "above": 0}
		case p.grpc:
			o["cluster"], o["grpc"] = "app", object{"service": p.name}
		default:
			o["cluster"], o["path"] = "app", "/"+p.name
		}
		probes = append(probes, o)
	}
	c["endpoints"] = endpoints
	if len(probes) > 0 {
		c["probes"] = probes
	}
	if a := s.admin; a != nil {
		c["admin"] = object{"cluster": "envoy_admin", "interval": a.interval.String(), "timeout": a.timeout.String(),
			"max_age": a.maxAge.String(), "on_stale": a.onStale, "draining": a.draining}
	}
	text, _ := json.Marshal(c) // strings and numbers alone
	return string(text)
}

// ofGRPC reports whether a plan's checks of an endpoint are of gRPC.
func (p *plan) ofGRPC(endpoint string) bool {
	for _, s := range p.configs {
		if e := s.endpoint(endpoint); e != nil && e.grpc {
			return true
		}
	}
	return false
}

// need is how many of the endpoint's probes must be healthy.
func (e *endpoint) need() int {
	n := 0
	switch e.policy {
	case "all":
		n = len(e.probes)
	case "any":
		n = min(1, len(e.probes))
	default:
		_, _ = fmt.Sscan(e.policy, &n) // 0 for a status endpoint
	}
	return n
}

func (s *settings) endpoint(name string) *endpoint {
	if i := slices.IndexFunc(s.endpoints, func(e endpoint) bool { return e.name == name }); i >= 0 {
		return &s.endpoints[i]
	}
	return nil
}

func (s *settings) probe(name string) *probe {
	if i := slices.IndexFunc(s.probes, func(p probe) bool { return p.name == name }); i >= 0 {
		return &s.probes[i]
	}
	return nil
}

func (s *settings) clone() *settings {
	c := &settings{slices.Clone(s.endpoints), slices.Clone(s.probes), nil}
	if s.admin != nil {
		a := *s.admin
		c.admin = &a
	}
	return c
}

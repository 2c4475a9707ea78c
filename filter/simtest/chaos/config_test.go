package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A configuration as far as plans vary it. The oracle reads this one, and the plugin the JSON that is made of it.
type (
	settings struct {
		Endpoints []endpoint
		Probes    []probe
		Admin     *admin `yaml:",omitempty"`
	}
	endpoint struct {
		Name      string
		Policy    string   // all, any, a number, or status for an endpoint of that kind
		Probes    []string `yaml:",flow,omitempty"`
		Key       string   `yaml:",omitempty"` // of maintenance
		Healthy   string   // reply or pass
		Untrusted string   // pass or reply
		Degraded  string   `yaml:",omitempty"` // a probe
		GRPC      bool     `yaml:",omitempty"` // checks are of gRPC
	}
	probe struct {
		Name               string
		Interval, Timeout  time.Duration
		Unhealthy, Healthy int           // thresholds
		MinUnhealthy       time.Duration `yaml:"min_unhealthy,omitempty"`
		GRPC               bool          `yaml:",omitempty"`
		Gauge              bool          `yaml:",omitempty"`          // it reads a gauge of Envoy's
		OnDemand           time.Duration `yaml:"on_demand,omitempty"` // max_age; 0 for a probe at intervals
	}
	admin struct {
		Interval, Timeout time.Duration
		MaxAge            time.Duration `yaml:"max_age"`
		OnStale           string        `yaml:"on_stale"` // keep or fail
		Draining          string        // poll or ignore
	}
)

// json is the configuration that the plugin gets.
func (s *settings) json() string {
	type object = map[string]any
	c := object{}
	var endpoints, probes []object
	for _, e := range s.Endpoints {
		o := object{"name": e.Name, "paths": []string{"/" + e.Name}, "trusted": object{"cidrs": []string{"10.0.0.0/8"}}}
		if e.GRPC {
			delete(o, "paths")
			o["grpc"] = true
		}
		if e.Untrusted == "reply" {
			o["untrusted"] = object{"action": "reply"}
		}
		if e.Policy == "status" {
			o["kind"] = "status"
			endpoints = append(endpoints, o)
			continue
		}
		if e.Healthy == "pass" {
			o["healthy"] = object{"action": "pass"}
		}
		if e.Key != "" {
			o["maintenance"] = object{"keys": []string{e.Key}}
		}
		if len(e.Probes) > 0 {
			var policy any = e.Policy
			if n := e.need(); e.Policy != "all" && e.Policy != "any" {
				policy = object{"at_least": n}
			}
			o["probes"] = object{"names": e.Probes, "policy": policy}
		}
		if e.Degraded != "" {
			o["degraded"] = object{"probes": []string{e.Degraded}, "headers": object{"x-degraded": "1"}}
		}
		endpoints = append(endpoints, o)
	}
	for _, p := range s.Probes {
		o := object{"name": p.Name, "timeout": p.Timeout.String()}
		if p.OnDemand > 0 {
			o["on_demand"] = object{"max_age": p.OnDemand.String()}
		} else {
			o["interval"], o["unhealthy_threshold"], o["healthy_threshold"] = p.Interval.String(), p.Unhealthy, p.Healthy
		}
		// Fields that a plan does not need are left out: the plugin of an old plan would refuse what it does not know.
		if p.MinUnhealthy > 0 {
			o["min_unhealthy"] = p.MinUnhealthy.String()
		}
		switch {
		case p.Gauge:
			o["gauge"] = object{"stat": p.Name, "above": 0}
		case p.GRPC:
			o["cluster"], o["grpc"] = "app", object{"service": p.Name}
		default:
			o["cluster"], o["path"] = "app", "/"+p.Name
		}
		probes = append(probes, o)
	}
	c["endpoints"] = endpoints
	if len(probes) > 0 {
		c["probes"] = probes
	}
	if a := s.Admin; a != nil {
		c["admin"] = object{"cluster": "envoy_admin", "interval": a.Interval.String(), "timeout": a.Timeout.String(),
			"max_age": a.MaxAge.String(), "on_stale": a.OnStale, "draining": a.Draining}
	}
	text, _ := json.Marshal(c) // strings and numbers alone
	return string(text)
}

// ofGRPC reports whether a plan's checks of an endpoint are of gRPC.
func (p *plan) ofGRPC(endpoint string) bool {
	for _, s := range p.Configs {
		if e := s.endpoint(endpoint); e != nil && e.GRPC {
			return true
		}
	}
	return false
}

// need is how many of the endpoint's probes must be healthy.
func (e *endpoint) need() int {
	n := 0
	switch e.Policy {
	case "all":
		n = len(e.Probes)
	case "any":
		n = min(1, len(e.Probes))
	default:
		_, _ = fmt.Sscan(e.Policy, &n) // 0 for a status endpoint
	}
	return n
}

func (s *settings) endpoint(name string) *endpoint {
	if i := slices.IndexFunc(s.Endpoints, func(e endpoint) bool { return e.Name == name }); i >= 0 {
		return &s.Endpoints[i]
	}
	return nil
}

func (s *settings) probe(name string) *probe {
	if i := slices.IndexFunc(s.Probes, func(p probe) bool { return p.Name == name }); i >= 0 {
		return &s.Probes[i]
	}
	return nil
}

func (s *settings) clone() *settings {
	c := &settings{slices.Clone(s.Endpoints), slices.Clone(s.Probes), nil}
	if s.Admin != nil {
		a := *s.Admin
		c.Admin = &a
	}
	return c
}

package config

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// fingerprint hashes the parts of the configuration that decide what is in the shared record. Replies, paths and
// trusted sources are left out: an edit of those keeps the record, so a live update does not answer UNKNOWN.
func fingerprint(c *Config) uint64 {
	h := emptyHash
	for i := range c.Probes {
		p := &c.Probes[i]
		h.text("probe")
		h.text(p.Name)
		h.asks(p)
		h.duration(p.Interval)
		h.duration(p.Timeout)
		h.number(p.UnhealthyThreshold)
		h.number(p.HealthyThreshold)
		h.duration(p.MinUnhealthy)
		if p.OnDemand > 0 {
			h.duration(p.OnDemand)
		}
	}
	if a := c.Admin; a != nil {
		h.text("admin")
		h.text(a.Cluster)
		h.duration(a.Interval)
		h.duration(a.Timeout)
		if a.IgnoreDraining {
			h.text("draining")
		}
	}
	for _, key := range c.Keys {
		h.text("key")
		h.text(key)
	}
	return uint64(h)
}

func endpointsFingerprint(c *Config) uint64 {
	h := emptyHash
	for i := range c.Endpoints {
		h.text(c.Endpoints[i].Name)
		for _, k := range c.Endpoints[i].Maintenance.Keys {
			h.number(uint32(k))
		}
	}
	return uint64(h)
}

// Asks identifies what the probe asks and expects, whatever its name and timing.
func (p *Probe) Asks() uint64 {
	h := emptyHash
	h.asks(p)
	return uint64(h)
}

func (h *hash) asks(p *Probe) {
	h.text(p.Cluster)
	h.text(p.Path)
	h.text(p.Service)
	h.text(p.Host)
	h.text(p.Method)
	for _, r := range p.ExpectedStatuses {
		h.number(r.Start)
		h.number(r.End)
	}
}

// Hash returns a hash of a text.
func Hash(text string) uint64 {
	h := emptyHash
	h.bytes(text)
	return uint64(h)
}

// hash is an FNV-1a hash of fields.
type hash uint64

const emptyHash hash = 14695981039346656037

func (h *hash) bytes(s string) {
	for i := 0; i < len(s); i++ {
		*h = (*h ^ hash(s[i])) * 1099511628211
	}
}

// text adds a field. Its length makes the whole unambiguous, whatever the field holds.
func (h *hash) text(s string) {
	h.bytes(strconv.Itoa(len(s)))
	h.bytes(":")
	h.bytes(s)
	h.bytes(",")
}

func (h *hash) number(n uint32) { h.text(strconv.Itoa(int(n))) }

func (h *hash) duration(d duration.Duration) { h.text(duration.Text(d)) }

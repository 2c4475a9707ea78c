package config

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// fingerprint hashes the parts of the configuration that decide what is in the shared record. Replies, paths and
// trusted sources are left out: an edit of those keeps the record, so a live update does not answer UNKNOWN.
func fingerprint(c *Config) uint64 {
	var b strings.Builder
	add := func(fields ...string) {
		for _, f := range fields {
			// The length makes the text unambiguous whatever a field holds.
			b.WriteString(strconv.Itoa(len(f)) + ":" + f + ",")
		}
	}
	for i := range c.Probes {
		p := &c.Probes[i]
		add("probe", p.Name, p.Cluster, p.Path, p.Host, p.Method, p.Interval.String(), p.Timeout.String(),
			strconv.Itoa(int(p.UnhealthyThreshold)), strconv.Itoa(int(p.HealthyThreshold)))
		for _, r := range p.ExpectedStatuses {
			add(strconv.Itoa(int(r.Start)), strconv.Itoa(int(r.End)))
		}
	}
	if a := c.Admin; a != nil {
		add("admin", a.Cluster, a.Interval.String(), a.Timeout.String())
	}
	for _, key := range c.Keys {
		add("key", key)
	}
	h := fnv.New64a()
	h.Write([]byte(b.String()))
	return h.Sum64()
}

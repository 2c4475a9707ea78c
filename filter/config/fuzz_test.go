package config_test

import (
	"encoding/json"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/match"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/status"
	"github.com/healthgate/healthgate/filter/verdict"
)

// request has no header but a method, so that some matchers hold.
type request struct{}

func (request) Header(name string) (string, bool) { return "GET", name == ":method" }

type clock int64

func (c clock) Monotonic() int64 { return int64(c) }
func (c clock) Wall() int64      { return int64(c) }

// An accepted configuration is usable: nothing that it refers to is missing.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"cidrs":["10.0.0.0/8"]}}]}`,
		`{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"providers":["gcp"]},` +
			`"probes":{"names":["p"],"policy":"any"}}],` +
			`"probes":[{"name":"p","cluster":"c","path":"/"}]}`,
		`{"endpoints":[{"name":"a","paths":["/hc"],"hosts":["a"],"headers":[{"name":"x","suffix":"y"}],` +
			`"trusted":{"cidrs":["::1"]},` +
			`"healthy":{"action":"pass"},"maintenance":{"keys":["k","k.{zone}","{region}"],"route_metadata":true},` +
			`"probes":{"names":["q","p"],"policy":{"at_least":2}}}],"admin":{"cluster":"c","on_stale":"fail"},` +
			`"probes":[{"name":"p","cluster":"c","path":"/"},` +
			`{"name":"q","cluster":"c","path":"/","expected_statuses":[{"start":200}]}]}`,
		`{"endpoints":[{"name":"a","kind":"status","paths":["/s"],"trusted":{"cidrs":["10.0.0.0/8"]}},` +
			`{"name":"b","paths":["/hc"],"trusted":{"cidrs":["10.0.0.0/8"]},` +
			`"maintenance":{"keys":["<k>\u0000"]}}],"admin":{"cluster":"\"<c>"}}`,
		`{"endpoints":[{"name":"a","paths":["/*"],"methods":["get"],"hosts":["::1","[::1]:80","a.","[","]:"],` +
			`"headers":[{"name":"connection","exact":"x"},{"name":"y","suffix":"z "}],"trusted":{"cidrs":["10.0.0.0/8"]},` +
			`"maintenance":{"keys":["{zone}{zone}"]}}],"admin":{"cluster":"c"}}`,
		"\n\x11\n\tendpoints\x12\x04\x32\x02\n\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse(text, config.Node{Zone: "z"})
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("a message of %d bytes: %.100s", len(err.Error()), err)
			}
			return
		}
		for _, w := range c.Warnings {
			if len(w.Error()) > 1000 {
				t.Errorf("a warning of %d bytes: %.100s", len(w.Error()), w.Error())
			}
		}
		for _, key := range c.Keys {
			if key == "" || len(key) > config.MaxExpandedBytes {
				t.Errorf("a key of %d bytes: %.100q", len(key), key)
			}
		}
		if len(c.Endpoints) == 0 {
			t.Fatal("no endpoint")
		}
		table := match.NewTable(c.Endpoints)
		record := snapshot.New(len(c.Keys), len(c.Probes))
		record.WrittenAt, record.Runtime.At = 1, 1
		seen := snapshot.New(len(c.Keys), len(c.Probes))
		seen.WrittenAt, seen.Runtime.At, seen.Ready.At = 1, 1, 1
		for i := range seen.Probes {
			seen.Probes[i].At = 1
		}
		for i := range c.Endpoints {
			e := &c.Endpoints[i]
			if e.Name == "" || len(e.Paths) == 0 || e.Trusted.Set == nil || e.Probes.Need > len(e.Probes.Names) {
				t.Errorf("not usable: %+v", e)
			}
			for _, path := range e.Paths {
				if found := table.Find(path, request{}); found > i {
					t.Errorf("%q: endpoint %d comes before %d", path, found, i)
				}
			}
			verdict.Refuse(e)
			if e.Kind == config.KindStatus {
				continue
			}
			for _, r := range []*snapshot.Record{nil, record, seen} {
				for _, route := range []bool{false, true} {
					a := verdict.Decide(c, e, r, route, clock(2))
					if a.Reply == nil || a.Kind != verdict.Passed && (a.Status < 200 || a.Status > 599) {
						t.Errorf("%v: %+v", a.Kind, a)
					}
				}
			}
		}
		for _, r := range []*snapshot.Record{nil, record, seen} {
			doc := status.Describe(c, config.Node{ID: "n"}, r, clock(2))
			if text := doc.JSON(); !json.Valid(text) {
				t.Errorf("the status document is not JSON: %s", text)
			}
			doc.HTML(false)
		}
	})
}

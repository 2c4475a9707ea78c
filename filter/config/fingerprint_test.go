package config

import (
	"strings"
	"testing"
)

// Only what decides the content of the shared record changes the fingerprint: a live edit of anything else keeps the
// record, and the probes' states with it.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	const text = `{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"cidrs":["10.0.0.0/8"]},
		"healthy":{"body":"OK"},"maintenance":{"keys":["k","z.{zone}"],"body":"M"},"probes":{"policy":"all","names":["p"]}}],
		"probes":[{"name":"p","cluster":"c","path":"/p","host":"h","method":"GET","interval":"2s","timeout":"300ms",
			"unhealthy_threshold":2,"healthy_threshold":3,"expected_statuses":[{"start":200,"end":201},{"start":300,"end":301}]},
			{"name":"q","cluster":"c","path":"/q"}],
		"admin":{"cluster":"ea","interval":"2s","timeout":"400ms","max_age":"10s","on_stale":"keep"}}`
	node := Node{ID: "n", Zone: "z1"}
	parse := func(text string, node Node) uint64 {
		t.Helper()
		c, err := Parse([]byte(text), node)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return c.Fingerprint
	}
	base := parse(text, node)
	seen := map[uint64]string{base: "the first"}
	for _, test := range []struct {
		name, old, new string
		same           bool
	}{
		{"nothing", "", "", true},
		{"blanks", `"probes":[`, ` "probes" : [ `, true},
		{"a null", `"path":"/q"`, `"path":"/q","timeout":null`, true},
		{"order of an endpoint's fields", `"name":"a","paths":["/hc"]`, `"paths":["/hc"],"name":"a"`, true},
		{"order of a probe's fields", `"name":"p","cluster":"c"`, `"cluster":"c","name":"p"`, true},
		{"order of the admin section's fields", `"cluster":"ea","interval":"2s"`, `"interval":"2s","cluster":"ea"`, true},
		{"a default spelled out", `"path":"/q"`, `"path":"/q","host":"localhost","interval":"1s"`, true},
		{"a duration spelled otherwise", `"interval":"2s","timeout":"300ms"`, `"interval":"2000ms","timeout":"0.3s"`, true},
		{"a reply", `"body":"OK"`, `"body":"fine","status":299`, true},
		{"the maintenance reply", `"body":"M"`, `"body":"N"`, true},
		{"route metadata", `"body":"M"`, `"body":"M","route_metadata":true`, true},
		{"another path", `/hc`, `/health`, true},
		{"another name of the endpoint", `"name":"a"`, `"name":"b"`, true},
		{"trusted sources", `10.0.0.0/8`, `192.168.0.0/16`, true},
		{"the policy", `"all"`, `"any"`, true},
		{"the policy's probes", `["p"]`, `["q"]`, true},
		{"max_age", `"10s"`, `"20s"`, true},
		{"on_stale", `"keep"`, `"fail"`, true},
		{"another endpoint without keys", `"endpoints":[`,
			`"endpoints":[{"name":"b","paths":["/b"],"trusted":{"cidrs":["::1"]}},`, true},
		{"a key that is ignored here", `["k",`, `["k","{region}",`, true},

		{"a probe on demand", `"path":"/q"`, `"path":"/q","on_demand":{}`, false},
		{"its max_age", `"path":"/q"`, `"path":"/q","on_demand":{"max_age":"2s"}`, false},
		{"a probe's name", `"name":"q","cluster"`, `"name":"r","cluster"`, false},
		{"a probe's cluster", `"c","path":"/p"`, `"d","path":"/p"`, false},
		{"a probe's path", `"/p"`, `"/pp"`, false},
		{"a probe's host", `"h"`, `"hh"`, false},
		{"a probe's method", `"GET"`, `"HEAD"`, false},
		{"a probe's interval", `"interval":"2s","timeout":"300ms"`, `"interval":"3s","timeout":"300ms"`, false},
		{"a probe's timeout", `"300ms"`, `"301ms"`, false},
		{"unhealthy_threshold", `"unhealthy_threshold":2`, `"unhealthy_threshold":4`, false},
		{"healthy_threshold", `"healthy_threshold":3`, `"healthy_threshold":4`, false},
		{"thresholds swapped", `"unhealthy_threshold":2,"healthy_threshold":3`,
			`"unhealthy_threshold":3,"healthy_threshold":2`, false},
		{"a status range's start", `"start":200`, `"start":199`, false},
		{"a status range's end", `"end":201`, `"end":202`, false},
		{"one status range less", `,{"start":300,"end":301}`, ``, false},
		{"one probe less", `,
			{"name":"q","cluster":"c","path":"/q"}`, ``, false},
		{"one probe more", `{"name":"q","cluster":"c","path":"/q"}`,
			`{"name":"q","cluster":"c","path":"/q"},{"name":"r","cluster":"c","path":"/q"}`, false},
		{"the admin cluster", `"ea"`, `"eb"`, false},
		{"the admin interval", `"ea","interval":"2s"`, `"ea","interval":"4s"`, false},
		{"the admin timeout", `"400ms"`, `"401ms"`, false},
		{"draining", `"400ms"`, `"400ms","draining":"ignore"`, false},
		{"draining spelled out", `"400ms"`, `"400ms","draining":"poll"`, true},
		{"another key", `["k",`, `["kk",`, false},
		{"one key less", `["k",`, `[`, false},
		{"keys in another order", `["k","z.{zone}"]`, `["z.{zone}","k"]`, false},
		{"another value of a placeholder", `{zone}`, `z2`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.old != "" && strings.Count(text, test.old) != 1 {
				t.Fatalf("%s: %d places", test.name, strings.Count(text, test.old))
			}
			edited := strings.Replace(text, test.old, test.new, 1)
			got := parse(edited, node)
			if (got == base) != test.same {
				t.Errorf("%s: the same: %v", test.name, got == base)
			}
			if other, known := seen[got]; known && !test.same {
				t.Errorf("%s: as with %s", test.name, other)
			}
			seen[got] = test.name
		})
	}
	if parse(text, Node{ID: "n", Zone: "z2"}) == base {
		t.Error("an Envoy in another zone has the same keys")
	}
	if parse(text, Node{ID: "other", Zone: "z1", Region: "r", Cluster: "c"}) != base {
		t.Error("an Envoy with the same keys shares nothing")
	}
	if parse(good, node) == parse(admin(`"interval":"1s"`), node) {
		t.Error("an admin section makes no difference")
	}
}

// Fields that run into one another when they are written side by side are still told apart.
func TestFingerprintIsUnambiguous(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for _, text := range []string{
		probe(`"path":"/ab","host":"c"`), probe(`"path":"/a","host":"bc"`),
		probe(`"path":"/a","host":"b,1:c"`), probe(`"path":"/a","host":"b","method":"c"`),
		keyed("a", "b"), keyed("ab"), keyed("a,1:b"), keyed("a", "key", "b"), keyed("a,3:key,1:b"),
	} {
		c, err := Parse([]byte(text), Node{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if other, known := seen[c.Fingerprint]; known {
			t.Errorf("%s has the fingerprint of %s", text, other)
		}
		seen[c.Fingerprint] = text
	}
}

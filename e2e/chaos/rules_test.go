package chaos

import (
	"strings"
	"testing"
	"time"
)

// TestRules lets things happen that the judge must see, each with one that it must not.
func TestRules(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	// answered is a check, sent and got.
	answered := func(j *judge, sent, got float64, status int, body string) {
		j.answered(exchange{client: "balancer", path: check, sent: at(sent), got: at(got), status: status, body: body})
	}
	found := func(j *judge, seconds float64) {
		j.read(at(seconds), "/runtime", time.Millisecond)
		j.read(at(seconds), "/ready", time.Millisecond)
		for _, name := range probes {
			j.probe(at(seconds), name, true)
		}
	}
	other := func(j *judge, client, body string, app bool) {
		j.answered(exchange{client: client, path: check, sent: at(1), got: at(1.1), status: 200, body: body, app: app})
	}
	cases := []struct {
		name, rule string
		do         func(j *judge)
	}{
		{"fresh", "", func(j *judge) { found(j, 20); answered(j, 21, 21, 200, "OK") }},
		{"nothing found for long", "old answer", func(j *judge) { answered(j, 12, 12, 200, "OK") }},
		{"a probe that failed for long", "old answer", func(j *judge) {
			found(j, 1)
			j.read(at(15), "/runtime", time.Millisecond)
			j.read(at(15), "/ready", time.Millisecond)
			answered(j, 15, 15, 200, "OK")
		}},
		{"maintenance for long", "old answer", func(j *judge) {
			j.cause(at(1), "runtime disk", "true")
			j.fault(at(1), "admin", true)
			found(j, 13)
			answered(j, 13, 13, 200, "OK")
		}},
		{"maintenance, not for long", "", func(j *judge) {
			j.cause(at(1), "runtime disk", "true")
			j.fault(at(1), "admin", true)
			found(j, 11)
			answered(j, 11, 11, 200, "OK")
		}},
		{"maintenance that was answered before", "old answer", func(j *judge) {
			j.cause(at(1), "runtime disk", "true")
			answered(j, 3, 3, 503, sorry)
			answered(j, 4, 4, 200, "OK")
		}},
		{"sent while the process was stopped", "old answer after a pause", func(j *judge) {
			found(j, 1)
			j.down(at(2), true)
			j.up(at(15))
			answered(j, 3, 15.1, 200, "OK")
		}},
		{"calm, and unhealthy", "wrong when calm", func(j *judge) { found(j, 19); answered(j, 20, 20, 500, "FAILED") }},
		{"calm, and a dead VM", "wrong when calm", func(j *judge) { answered(j, 20, 20, 503, "") }},
		{"not calm", "", func(j *judge) {
			j.happens(at(10), "crash all")
			answered(j, 20, 20, 503, "")
		}},
		{"another body", "wrong answer", func(j *judge) { answered(j, 1, 1, 200, "?") }},
		{"a stranger is answered", "stranger", func(j *judge) { other(j, "stranger", "OK", false) }},
		{"a stranger passes", "", func(j *judge) { other(j, "stranger", "app", true) }},
		{"a trusted check passes", "reached the application", func(j *judge) { j.reached(at(1), "balancer", check) }},
		{"it may where healthy passes", "", func(j *judge) { j.reached(at(1), "balancer", passed) }},
		{"a user gets nothing", "normal request", func(j *judge) { other(j, "user", "", false) }},
		{"of an Envoy that is dead", "", func(j *judge) { j.down(at(0.5), false); other(j, "user", "", false) }},
		{"probes twice as often", "rate", func(j *judge) {
			for n := range 20 {
				j.probe(at(float64(n)/2), "stats", true)
			}
		}},
		{"probes of two leaders after one", "", func(j *judge) {
			for n := range 10 {
				j.probe(at(float64(n)), "stats", true)
			}
			j.happens(at(9.1), "crash leader")
			for n := range 3 {
				j.probe(at(9.2+float64(n)/10), "stats", true)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := newJudge(start)
			j.begin(start)
			c.do(j)
			violations, _ := j.results()
			switch text := strings.Join(violations, "\n"); {
			case c.rule == "" && text != "":
				t.Errorf("nothing was wrong, and it says:\n%s", text)
			case !strings.HasPrefix(text, c.rule):
				t.Errorf("want %q, got %q", c.rule, text)
			}
		})
	}
}

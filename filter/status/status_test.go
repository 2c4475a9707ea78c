package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

const settings = `{
	"endpoints": [
		{"name": "shop", "paths": ["/hc", "/hc2"], "trusted": {"cidrs": ["10.0.0.0/8"]},
		 "maintenance": {"keys": ["m", "m.{zone}"]}, "probes": {"names": ["a", "b"], "policy": "any"}},
		{"name": "plain", "paths": ["/plain"], "trusted": {"cidrs": ["10.0.0.0/8"]}},
		{"name": "state", "kind": "status", "paths": ["/state"], "trusted": {"cidrs": ["10.0.0.0/8"]}}
	],
	"probes": [{"name": "a", "cluster": "c", "path": "/a"}, {"name": "b", "cluster": "c", "path": "/b"}],
	"admin": {"cluster": "envoy_admin"}
}`

// The clocks: an hour after the start of the process, at a time of day with every digit of its own.
const now = int64(time.Hour)

var wall = time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)

type clock struct{}

func (clock) Monotonic() int64 { return now }
func (clock) Wall() int64      { return wall.UnixNano() }

func ago(d time.Duration) int64 { return now - int64(d) }

// world is a configuration and a record in which all is well.
type world struct {
	config *config.Config
	record *snapshot.Record
}

func newWorld(t testing.TB, text string) *world {
	t.Helper()
	c, err := config.Parse([]byte(text), config.Node{Zone: "z"})
	if err != nil {
		t.Fatal(err)
	}
	r := snapshot.New(len(c.Keys), len(c.Probes))
	r.WrittenAt, r.Runtime.At, r.Ready.At = ago(250*time.Millisecond), ago(900*time.Millisecond), ago(time.Second)
	for i := range r.Probes {
		r.Probes[i] = probe(200, 3, 2*time.Second, 90*time.Second)
	}
	return &world{c, r}
}

// probe is the state of a probe whose last result is of some time ago; it is healthy with 200.
func probe(status, took uint32, age, since time.Duration) snapshot.Probe {
	return snapshot.Probe{Finding: snapshot.Finding{Outcome: snapshot.Answered, Status: status, At: ago(age), TookMs: took},
		Healthy: status == 200, ChangedAt: ago(since)}
}

// silent is the state of a probe that nothing answered.
func silent(outcome snapshot.Outcome) snapshot.Probe {
	p := probe(503, 500, 0, 0)
	p.Outcome = outcome
	return p
}

func (w *world) describe() *Document {
	return Describe(w.config, config.Node{ID: "node-1"}, w.record, clock{})
}

// parsed is the document as a program reads it.
type parsed struct {
	Status, ServiceID, Description, Output, Time string
	Notes                                        []string
	Checks                                       map[string][]map[string]any
}

func read(t testing.TB, text []byte) parsed {
	t.Helper()
	var p parsed
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for name, list := range p.Checks {
		if len(list) != 1 {
			t.Errorf("%s has %d entries", name, len(list))
		}
	}
	return p
}

// line is what matters of a check, for comparing.
func (p parsed) line(name string) string {
	if len(p.Checks[name]) == 0 {
		return "not there"
	}
	c := p.Checks[name][0]
	value, _ := json.Marshal(c["observedValue"])
	return strings.TrimSpace(fmt.Sprintf("%v %s %v", c["status"], value, c["output"]))
}

func TestWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings)
	w.record.Keys[1] = snapshot.Key{Switch: maintenance.Switch{On: true, Until: wall.Add(time.Hour).UnixNano()},
		Value: "2026-03-04T16:06:07Z", Reason: `"new" <disk>`}
	w.record.Probes[1] = probe(500, 12, time.Second, time.Minute)
	want := `{"status":"fail","serviceId":"node-1","description":"health checks answered by healthgate","time":"2026-03-04T15:06:07Z",` +
		`"output":"shop: under maintenance by key \"m.z\": \"new\" \u003cdisk\u003e","checks":{` +
		`"shop:verdict":[{"componentId":"shop","componentType":"component","status":"fail","observedValue":"maintenance",` +
		`"time":"2026-03-04T15:06:06Z","httpStatus":503,"affectedEndpoints":["/hc","/hc2"],` +
		`"output":"under maintenance by key \"m.z\": \"new\" \u003cdisk\u003e",` +
		`"maintenance":{"key":"m.z","value":"2026-03-04T16:06:07Z","reason":"\"new\" \u003cdisk\u003e","until":"2026-03-04T16:06:07Z"}}],` +
		`"plain:verdict":[{"componentId":"plain","componentType":"component","status":"pass","observedValue":"healthy",` +
		`"time":"2026-03-04T15:06:06Z","httpStatus":200,"affectedEndpoints":["/plain"]}],` +
		`"a:responseTime":[{"componentId":"a","componentType":"component","status":"pass","observedValue":3,"observedUnit":"ms",` +
		`"time":"2026-03-04T15:06:05Z","since":"2026-03-04T15:04:37Z","httpStatus":200,"outcome":"response"}],` +
		`"b:responseTime":[{"componentId":"b","componentType":"component","status":"fail","observedValue":12,"observedUnit":"ms",` +
		`"time":"2026-03-04T15:06:06Z","since":"2026-03-04T15:05:07Z","httpStatus":500,"outcome":"response","output":"status 500"}],` +
		`"envoy:draining":[{"componentId":"envoy","componentType":"system","status":"pass","observedValue":false,"time":"2026-03-04T15:06:06Z"}],` +
		`"runtime:age":[{"componentId":"runtime","componentType":"system","status":"pass","observedValue":900,"observedUnit":"ms","time":"2026-03-04T15:06:06Z"}],` +
		`"snapshot:age":[{"componentId":"snapshot","componentType":"system","status":"pass","observedValue":250,"observedUnit":"ms","time":"2026-03-04T15:06:06Z"}]}}` + "\n"
	doc := w.describe()
	if got := string(doc.JSON()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	read(t, doc.JSON())
	if doc.HTTPStatus() != 503 {
		t.Errorf("fail is answered with %d", doc.HTTPStatus())
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	const old = 14*time.Second + 20*time.Millisecond
	for _, test := range []struct {
		name     string
		settings string // "" for settings
		change   func(w *world)
		status   string
		output   string
		lines    map[string]string
	}{
		{name: "all well", change: func(*world) {}, status: "pass", lines: map[string]string{
			"shop:verdict": `pass "healthy" <nil>`, "plain:verdict": `pass "healthy" <nil>`, "state:verdict": "not there",
			"a:responseTime": `pass 3 <nil>`, "envoy:draining": `pass false <nil>`, "runtime:age": `pass 900 <nil>`, "snapshot:age": `pass 250 <nil>`}},
		{name: "no record", change: func(w *world) { w.record = nil }, status: "fail",
			output: "shop: there is no shared record yet; plain: there is no shared record yet", lines: map[string]string{
				"shop:verdict": `fail "unknown" there is no shared record yet`, "plain:verdict": `fail "unknown" there is no shared record yet`,
				"a:responseTime": `warn null no result yet`, "envoy:draining": `warn null not read yet through cluster "envoy_admin"`,
				"runtime:age":  `warn null not read yet through cluster "envoy_admin"`,
				"snapshot:age": `warn null there is no shared record yet`}},
		{name: "no leader", change: func(w *world) { w.record.WrittenAt = ago(old) }, status: "fail",
			output: "shop: the shared record is 14 s old; plain: the shared record is 14 s old", lines: map[string]string{
				"shop:verdict": `fail "unknown" the shared record is 14 s old`, "snapshot:age": `fail 14020 not written for 14 s: no VM leads`}},
		{name: "old results", change: func(w *world) {
			w.record.Probes[0].At, w.record.Probes[1] = ago(old), probe(500, 3, old, old)
		}, status: "fail", output: "shop: no recent result of a, b", lines: map[string]string{
			"a:responseTime": `warn 3 unknown: the last result is 14 s old`, "b:responseTime": `warn 3 unknown: the last result is 14 s old`,
			"plain:verdict": `pass "healthy" <nil>`, "snapshot:age": `pass 250 <nil>`}},
		{name: "an old result, and unknown is told as success", settings: strings.Replace(settings, `"maintenance"`, `"unknown": {"status": 200}, "maintenance"`, 1),
			change: func(w *world) { w.record.Probes[0].At = ago(old) }, status: "warn",
			output: "shop: no recent result of a; a: unknown: the last result is 14 s old"},
		{name: "a probe not seen", change: func(w *world) { w.record.Probes[1] = snapshot.Probe{} }, status: "fail",
			output: "shop: no recent result of b", lines: map[string]string{"b:responseTime": `warn null no result yet`}},
		{name: "runtime never read", change: func(w *world) { w.record.Runtime.At = 0 }, status: "fail",
			output: `shop: not read yet through cluster "envoy_admin"`,
			lines:  map[string]string{"runtime:age": `warn null not read yet through cluster "envoy_admin"`, "envoy:draining": `pass false <nil>`}},
		{name: "draining never read", change: func(w *world) { w.record.Ready.At = 0 }, status: "fail",
			output: `shop: draining: not read yet through cluster "envoy_admin"; plain: draining: not read yet through cluster "envoy_admin"`,
			lines:  map[string]string{"envoy:draining": `warn null not read yet through cluster "envoy_admin"`}},
		{name: "draining kept", change: func(w *world) { w.record.Ready.At = ago(old) }, status: "warn",
			output: `envoy: last read 14 s ago through cluster "envoy_admin"; the last values are kept`,
			lines:  map[string]string{"envoy:draining": `warn false last read 14 s ago through cluster "envoy_admin"; the last values are kept`}},
		{name: "draining too old", settings: strings.Replace(settings, `"envoy_admin"`, `"envoy_admin", "on_stale": "fail"`, 1),
			change: func(w *world) { w.record.Ready.At = ago(old) }, status: "fail",
			output: `shop: draining: last read 14 s ago through cluster "envoy_admin"; plain: draining: last read 14 s ago through cluster "envoy_admin"`},
		{name: "draining ignored", settings: strings.Replace(settings, `"envoy_admin"`, `"envoy_admin", "draining": "ignore"`, 1),
			change: func(w *world) { w.record.Ready.At = 0 }, status: "pass", lines: map[string]string{"envoy:draining": "not there"}},
		{name: "runtime kept", change: func(w *world) { w.record.Runtime.At = ago(old) }, status: "warn",
			output: `runtime: last read 14 s ago through cluster "envoy_admin"; the last values are kept`,
			lines:  map[string]string{"shop:verdict": `pass "healthy" <nil>`}},
		{name: "runtime too old", settings: strings.Replace(settings, `"envoy_admin"`, `"envoy_admin", "on_stale": "fail"`, 1),
			change: func(w *world) { w.record.Runtime.At = ago(old) }, status: "fail",
			output: `shop: last read 14 s ago through cluster "envoy_admin"`,
			lines: map[string]string{"shop:verdict": `fail "unknown" last read 14 s ago through cluster "envoy_admin"`,
				"runtime:age": `fail 14020 last read 14 s ago through cluster "envoy_admin"`}},
		{name: "one of two probes", change: func(w *world) { w.record.Probes[0] = probe(503, 0, 0, 0) }, status: "warn",
			output: "a: status 503", lines: map[string]string{"shop:verdict": `pass "healthy" <nil>`, "a:responseTime": "fail 0 status 503"}},
		{name: "both probes", change: func(w *world) {
			w.record.Probes[0] = probe(503, 0, 0, 0)
			w.record.Probes[1] = probe(404, 0, 0, 0)
		}, status: "fail", output: "shop: a (503), b (404) failing; 0 of 2 healthy, 1 needed",
			lines: map[string]string{"shop:verdict": `fail "unhealthy" a (503), b (404) failing; 0 of 2 healthy, 1 needed`}},
		{name: "two that did not answer", change: func(w *world) {
			w.record.Probes[0] = silent(snapshot.TimedOut)
			w.record.Probes[1] = silent(snapshot.NoHost)
		}, status: "fail", output: "shop: a (timeout), b (no host) failing; 0 of 2 healthy, 1 needed",
			lines: map[string]string{"a:responseTime": "fail 500 timeout", "b:responseTime": "fail 500 no host"}},
		{name: "runtime is refused", change: func(w *world) {
			w.record.Runtime = snapshot.Finding{Outcome: snapshot.Answered, Status: 403}
			w.record.Ready = snapshot.Finding{Outcome: snapshot.TimedOut, At: ago(old)}
		}, status: "fail", output: `shop: not read yet through cluster "envoy_admin": status 403`, lines: map[string]string{
			"runtime:age":    `warn null not read yet through cluster "envoy_admin": status 403`,
			"envoy:draining": `warn false last read 14 s ago through cluster "envoy_admin": timeout; the last values are kept`}},
		{name: "draining", change: func(w *world) { w.record.Draining = true }, status: "fail",
			output: "shop: Envoy is draining; plain: Envoy is draining",
			lines:  map[string]string{"envoy:draining": `fail true Envoy is draining`}},
		{name: "maintenance without a reason", change: func(w *world) {
			w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "true"}
		}, status: "fail", output: `shop: under maintenance by key "m"`},
		{name: "maintenance outlives the record", change: func(w *world) {
			w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "true"}
			w.record.WrittenAt = ago(old)
		}, status: "fail", lines: map[string]string{"shop:verdict": `fail "maintenance" under maintenance by key "m"`},
			output: `shop: under maintenance by key "m"; plain: the shared record is 14 s old`},
		{name: "maintenance that has ended", change: func(w *world) {
			w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true, Until: wall.UnixNano()}, Value: "x"}
		}, status: "pass"},
		{name: "the application answers", settings: strings.Replace(settings, `"maintenance"`, `"healthy": {"action": "pass"}, "maintenance"`, 1),
			change: func(*world) {}, status: "pass", lines: map[string]string{"shop:verdict": `pass "passed" <nil>`}},
		{name: "nothing but this", settings: `{"endpoints": [{"name": "s", "kind": "status", "paths": ["/s"], "trusted": {"cidrs": ["::1"]}}]}`,
			change: func(w *world) { w.record = nil }, status: "pass", lines: map[string]string{"snapshot:age": "not there", "envoy:draining": "not there"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.settings == "" {
				test.settings = settings
			}
			w := newWorld(t, test.settings)
			test.change(w)
			doc := w.describe()
			p := read(t, doc.JSON())
			if p.Status != test.status || p.Output != test.output {
				t.Errorf("%s %q, want %s %q", p.Status, p.Output, test.status, test.output)
			}
			if want := map[string]uint32{"pass": 200, "warn": 200, "fail": 503}[test.status]; doc.HTTPStatus() != want {
				t.Errorf("answered with %d, want %d", doc.HTTPStatus(), want)
			}
			for name, want := range test.lines {
				if got := p.line(name); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
		})
	}
}

func TestNoteOnRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(settings, `{"keys"`, `{"route_metadata": true, "keys"`, 1))
	const note = "maintenance by route is decided for each check, and not known here"
	if p := read(t, w.describe().JSON()); len(p.Notes) != 1 || p.Notes[0] != note {
		t.Errorf("notes %q", p.Notes)
	}
	page := string(w.describe().HTML())
	for _, part := range []string{
		`<h1><b>Healthy</b> node-1</h1><p>` + note + `</p></header>`,
		`<span>checks get 200</span></p><p class="dim">/hc<br>/hc2</p><p>` + note + `</p></section>`,
		`<span>checks get 200</span></p><p class="dim">/plain</p></section>`,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s:\n%s", part, page)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings)
	w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true, Until: wall.Add(90 * time.Minute).UnixNano()},
		Value: "2026-03-04T16:36:07Z", Reason: "new disk & more"}
	w.record.Probes[1] = probe(500, 12, time.Second, 2*time.Hour)
	page := string(w.describe().HTML())
	for _, part := range []string{
		`<title>Out of rotation · node-1</title>`,
		`<header class="warn"><h1><b>Out of rotation</b> node-1</h1><p>shop: under maintenance by key &#34;m&#34;: new disk &amp; more</p></header>`,
		`<section class="warn"><h3>shop</h3><p class="state">maintenance <span>checks get 503</span></p><p class="dim">/hc<br>/hc2</p>`,
		`<dt>Reason<dd>new disk &amp; more<dt>Key<dd>m = 2026-03-04T16:36:07Z<dt>Ends<dd>in <time datetime="2026-03-04T16:36:07Z" title="2026-03-04T16:36:07Z">1 h 30 min</time>`,
		`<section class="pass"><h3>plain</h3><p class="state">healthy <span>checks get 200</span></p>`,
		`<tr class="pass"><th scope="row">a<td class="state">healthy<td><time datetime="2026-03-04T15:04:37Z" title="2026-03-04T15:04:37Z">1 min 30 s</time><td>200<td>3 ms<td>`,
		`<tr class="fail"><th scope="row">b<td class="state">unhealthy<td><time datetime="2026-03-04T13:06:07Z" title="2026-03-04T13:06:07Z">2 h 0 min</time><td>500<td>12 ms<td>`,
		`<tr class="pass"><th scope="row">Draining<td class="state">no<tr`,
		`>900 ms ago</time><tr`, `>250 ms ago</time></table>`,
		`As of <time datetime="2026-03-04T15:06:07Z"`,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	for _, foreign := range []string{"//", "url(", "@import", "<script", "<link", "<img", "src=", "href="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page refers to something else, by %s", foreign)
		}
	}
	w.record = nil
	page = string(w.describe().HTML())
	for _, part := range []string{`<tr class="warn"><th scope="row">a<td class="state">no result yet<td><td><td><td><tr`,
		`<tr class="warn"><th scope="row">Shared record written<td class="state">there is no shared record yet</table>`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page without a record lacks %s", part)
		}
	}
}

// What an operator wanted is amber, and red is left for what is wrong; both are the same for a load balancer.
func TestColors(t *testing.T) {
	t.Parallel()
	under := func(w *world) {
		w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "true"}
		w.record.Probes[0], w.record.Probes[1] = silent(snapshot.TimedOut), silent(snapshot.TimedOut)
	}
	for _, test := range []struct {
		name, settings string
		change         func(w *world)
		title, class   string
		status         uint32
		classes        []string // of the health checks' cards
	}{
		{"well", settings, func(*world) {}, "Healthy", "pass", 200, []string{"pass", "pass"}},
		{"a probe that no one needs", settings, func(w *world) { w.record.Probes[0] = silent(snapshot.CutOff) }, "Needs a look", "warn", 200,
			[]string{"pass", "pass"}},
		{"maintenance, and what it is for", settings, under, "Out of rotation", "warn", 503, []string{"warn", "pass"}},
		{"draining", settings, func(w *world) { w.record.Draining = true }, "Out of rotation", "warn", 503, []string{"warn", "warn"}},
		{"maintenance that is told as success", strings.Replace(settings, `{"keys"`, `{"status": 200, "keys"`, 1), under, "Needs a look",
			"warn", 200, []string{"warn", "pass"}},
		{"an outage", settings, func(w *world) { under(w); w.record.Keys[0] = snapshot.Key{} }, "Failing", "fail", 503, []string{"fail", "pass"}},
		{"unknown beside maintenance", settings, func(w *world) { under(w); w.record.Ready.At = 0 }, "Failing", "fail", 503, []string{"warn", "fail"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.settings)
			test.change(w)
			doc := w.describe()
			page := string(doc.HTML())
			for _, part := range []string{"<title>" + test.title + " · node-1</title>", `<header class="` + test.class + `"><h1><b>` + test.title + "</b>",
				`<section class="` + test.classes[0] + `"><h3>shop`, `<section class="` + test.classes[1] + `"><h3>plain`} {
				if !strings.Contains(page, part) {
					t.Errorf("the page lacks %s:\n%s", part, page)
				}
			}
			if doc.HTTPStatus() != test.status {
				t.Errorf("answered with %d", doc.HTTPStatus())
			}
		})
	}
}

// Each outcome is said in every form, and no status that no one sent.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[snapshot.Outcome]string{
		snapshot.TimedOut: "timeout", snapshot.Unreachable: "no response", snapshot.CutOff: "reset", snapshot.NoCluster: "no cluster",
		snapshot.NoHost: "no host", snapshot.Refused: "refused", snapshot.Unanswered: "unanswered", snapshot.NoConnection: "no connection",
		200: "no response", // of another plugin
	} {
		w := newWorld(t, settings)
		w.record.Probes[1] = silent(outcome)
		doc := w.describe()
		c := read(t, doc.JSON()).Checks["b:responseTime"][0]
		if c["outcome"] != want || c["output"] != want || c["httpStatus"] != nil {
			t.Errorf("%s is shown as %v", want, c)
		}
		if page := string(doc.HTML()); !strings.Contains(page, "</time><td>"+want+"<td>500 ms<td>") || strings.Contains(page, "<td>503") {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}

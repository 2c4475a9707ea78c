package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
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
	return snapshot.Probe{Finding: snapshot.Finding{Outcome: snapshot.Answered, Status: status,
		At: ago(age), TookMs: took},
		Healthy: status == 200, ChangedAt: ago(since)}
}

// silent is the state of a probe that nothing answered.
func silent(outcome snapshot.Outcome) snapshot.Probe {
	p := probe(0, 500, 0, 0)
	if p.Outcome = outcome; outcome == snapshot.GRPCError {
		p.Status = 12
	}
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
	d := json.NewDecoder(bytes.NewReader(text))
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

// TestStates shows the document of each state in testdata/states.txt. A block is a line for each change to a world in
// which all is well; what comes out is the status of the whole, the page's words and colors, and each check.
func TestStates(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/states.txt", func(t *testing.T, d *datadriven.TestData) string {
		w := newWorld(t, settingsOf[d.Cmd])
		for line := range strings.Lines(d.Input) {
			if err := w.change(strings.Fields(line)); err != nil {
				d.Fatalf(t, "%s%v", line, err)
			}
		}
		doc := w.describe()
		switch {
		case d.HasArg("json"):
			return indented(t, doc.JSON())
		case d.HasArg("page"):
			body := strings.Replace(string(doc.HTML(false)), style, "", 1)
			return regexp.MustCompile(`<(title|style|main|h\d|header|p|section|dt|table|tbody|tr|td|footer)\b`).
				ReplaceAllString(body, "\n$0")[1:]
		}
		return w.lines(t, doc)
	})
}

// settingsOf has the configurations that a block names.
var settingsOf = map[string]string{
	"state":          settings,
	"unknown-is-200": strings.Replace(settings, `"maintenance"`, `"unknown": {"status": 200}, "maintenance"`, 1),
	"key-is-200":     strings.Replace(settings, `{"keys"`, `{"status": 200, "keys"`, 1),
	"by-route":       strings.Replace(settings, `{"keys"`, `{"route_metadata": true, "keys"`, 1),
	"degraded-by-route": strings.Replace(settings,
		`{"keys": ["m", "m.{zone}"]}, "probes": {"names": ["a", "b"], "policy": "any"}`,
		`{"route_metadata": true}, "probes": {"names": ["a"]}, "degraded": {"probes": ["b"]}`, 1),
	"passed": strings.Replace(settings, `"maintenance"`, `"healthy": {"action": "pass"}, "maintenance"`, 1),
	"degraded": strings.Replace(settings, `"names": ["a", "b"], "policy": "any"}`,
		`"names": ["a"]}, "degraded": {"probes": ["b"], "headers": {"x": "1"}}`, 1),
	"fail-on-stale":    strings.Replace(settings, `"envoy_admin"`, `"envoy_admin", "on_stale": "fail"`, 1),
	"draining-ignored": strings.Replace(settings, `"envoy_admin"`, `"envoy_admin", "draining": "ignore"`, 1),
	"only-the-status": `{"endpoints": [
		{"name": "s", "kind": "status", "paths": ["/s"], "trusted": {"cidrs": ["::1"]}}]}`,
}

var outcomes = map[string]snapshot.Outcome{"timeout": snapshot.TimedOut, "reset": snapshot.CutOff,
	"no-host": snapshot.NoHost}

// change makes one change: "no record", "probe a 500 1s" (or an outcome, or never), "key m on" ("for 1h"), "draining",
// and "written", "runtime" or "ready" with the age of what was read, "never" or what came instead.
func (w *world) change(words []string) error {
	if len(words) < 2 {
		words = append(words, "")
	}
	r, what, value := w.record, words[0], words[1]
	age, err := time.ParseDuration(words[len(words)-1])
	status, _ := strconv.Atoi(words[len(words)-1])
	switch what {
	case "no":
		w.record = nil
		return nil
	case "draining":
		r.Draining = true
		return nil
	case "written":
		r.WrittenAt = ago(age)
	case "runtime", "ready":
		finding := map[string]*snapshot.Finding{"runtime": &r.Runtime, "ready": &r.Ready}[what]
		switch {
		case value == "never":
			finding.At, err = 0, nil
		case status > 0:
			*finding, err = snapshot.Finding{Outcome: snapshot.Unreadable, Status: uint32(status)}, nil
		default:
			finding.At = ago(age)
			if outcome, is := outcomes[value]; is {
				finding.Outcome = outcome
			}
		}
	case "probe":
		p := &r.Probes[value[0]-'a']
		switch outcome, is := outcomes[words[2]]; {
		case words[2] == "never":
			*p, err = snapshot.Probe{}, nil
		case is:
			*p, err = silent(outcome), nil
		case len(words) == 3:
			p.At = ago(age)
		default:
			status, _ = strconv.Atoi(words[2])
			*p = probe(uint32(status), 12, age, 30*time.Minute)
		}
	case "key":
		k := &r.Keys[map[string]int{"m": 0, "m.z": 1}[value]]
		*k = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "true"}
		if len(words) > 3 {
			k.Switch.Until, k.Value, k.Reason = wall.Add(age).UnixNano(), "x", `"new" <disk>`
			return err
		}
		return nil
	default:
		return errors.New("there is no such change")
	}
	return err
}

// lines shows a document, by what a program reads in it and by the page's title and colors.
func (w *world) lines(t *testing.T, doc *Document) string {
	p, page := read(t, doc.JSON()), string(doc.HTML(false))
	var b strings.Builder
	title := regexp.MustCompile(`(?s)<title>(.*) · node-1</title>.*<header class="(.*?)"><h1><b>(.*?)</b>`).
		FindStringSubmatch(page)
	if title == nil || title[1] != title[3] {
		t.Fatalf("title and heading are %q", title)
	}
	fmt.Fprintf(&b, "%d %s, page %q in %s", doc.HTTPStatus(), p.Status, title[1], title[2])
	for _, card := range regexp.MustCompile(`<section class="(.*?)"><h3>(.*?)<`).FindAllStringSubmatch(page, -1) {
		fmt.Fprintf(&b, ", %s in %s", card[2], card[1])
	}
	if p.Output != "" {
		fmt.Fprintf(&b, "\n%s", p.Output)
	}
	for _, note := range p.Notes {
		fmt.Fprintf(&b, "\nnote: %s", note)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Checks)) {
		c := p.Checks[name][0]
		fmt.Fprintf(&b, "\n  %s %s %v", name, c["status"], c["observedValue"])
		if c["output"] != nil {
			fmt.Fprintf(&b, ": %s", c["output"])
		}
	}
	return b.String()
}

func indented(t *testing.T, document []byte) string {
	read(t, document)
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", "  "); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func TestPageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	page := string(newWorld(t, settings).describe().HTML(false))
	page = strings.Replace(page, `<a href="?pause">`, "", 1)
	for _, foreign := range []string{"//", "url(", "@import", "<script", "<link", "<img", "src=", "href="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page refers to something else, by %s", foreign)
		}
	}
}

// Each outcome is said in every form, and no status that no one sent.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[snapshot.Outcome]string{
		snapshot.TimedOut: "timeout", snapshot.Unreachable: "no response", snapshot.CutOff: "reset",
		snapshot.NoCluster: "no cluster", snapshot.NoHost: "no host", snapshot.Refused: "refused",
		snapshot.Unanswered: "unanswered", snapshot.NoConnection: "no connection",
		snapshot.NotServing: "NOT_SERVING", snapshot.NoState: "no gRPC state", snapshot.GRPCError: "grpc-status 12",
		200: "no response", // of another plugin
	} {
		w := newWorld(t, settings)
		w.record.Probes[1] = silent(outcome)
		doc := w.describe()
		c := read(t, doc.JSON()).Checks["b:responseTime"][0]
		if c["outcome"] != want || c["output"] != want || c["httpStatus"] != nil {
			t.Errorf("%s is shown as %v", want, c)
		}
		if page := string(doc.HTML(false)); !strings.Contains(page, "</time><td>"+want+"<td>500 ms<td>") ||
			strings.Contains(page, "<td>503") {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
}

package balancer

import (
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/verdict"
)

var update = flag.Bool("update", false, "write what is made from the table anew: make generate")

// TestDocument: the document's checks, settings and sources are those of the table.
func TestDocument(t *testing.T) {
	t.Parallel()
	const file = "../../../docs/load-balancers.md"
	text := must.Read(t, file)
	want := text
	for name, piece := range Pieces() {
		begin, end := "<!-- balancer: "+name+" -->\n", "<!-- /balancer -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for %q", file, name)
		}
		want = before + begin + "\n" + piece + "\n" + end + after
	}
	if *update {
		must.Write(t, file, want)
	} else if text != want {
		t.Errorf("%s is not what the table says: make generate", file)
	}
	if n := strings.Count(want, "<!-- balancer: "); n != len(Pieces()) {
		t.Errorf("%s has places for %d balancers, of %d", file, n, len(Pieces()))
	}
}

// TestTable: each balancer says where its facts come from, and its check is one.
func TestTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, b := range All() {
		if b.Title == "" || b.From == "" || len(b.Success) == 0 || len(b.Sources) == 0 || seen[b.Name] {
			t.Errorf("%s lacks something, or comes twice: %+v", b.Name, b)
		}
		seen[b.Name] = true
		for _, s := range b.Sources {
			_, err := time.Parse("2006-01", s.Read)
			if u, wrong := url.Parse(s.URL); err != nil || wrong != nil || u.Scheme != "https" {
				t.Errorf("%s: the source %+v has no URL or no date", b.Name, s)
			}
		}
		wire := b.Check(&url.URL{Scheme: "http", Host: "[::1]:80", Path: "/a", RawQuery: "b"}, "[::2]", "")
		if r, err := Read(wire); err != nil || r[":path"] != "/a?b" || strings.ContainsAny(wire, "{}") {
			t.Errorf("%s: %v, %v in\n%s", b.Name, err, r, wire)
		}
	}
}

// TestCases plays testdata/judge.txt.
//
//	judge BALANCER [interval=…] [success=…] …   the input is a status, or why there is none
//	explain BALANCER path=… [host=…] [from=…] [counts=ENDPOINT.OUTCOME] [status=…] [by=application]
//	        [redirected=URL]
//	                                                 the input is a healthgate.yaml
func TestCases(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/judge.txt", func(t *testing.T, d *datadriven.TestData) string {
		b, found := Find(d.CmdArgs[0].Key)
		if !found {
			d.Fatalf(t, "no balancer %s", d.CmdArgs[0].Key)
		}
		arg := map[string]string{}
		for _, a := range d.CmdArgs[1:] {
			arg[a.Key] = strings.Join(a.Vals, ",")
		}
		var s Settings
		s.Interval, _ = time.ParseDuration(arg["interval"])
		s.Unhealthy, _ = strconv.Atoi(arg["unhealthy"])
		if arg["success"] != "" {
			var err error
			if s.Success, err = ParseStatuses(arg["success"]); err != nil {
				return err.Error() + "\n"
			}
		}
		b.Set(s)
		if d.Cmd == "judge" {
			answer := Answer{Failure: strings.TrimSpace(d.Input)}
			if n, err := strconv.Atoi(answer.Failure); err == nil {
				answer = Answer{Status: n}
			}
			healthy, why := b.Judge(answer)
			return fmt.Sprintf("healthy %v: %s\nleaves after %s\nreturns after %s\n", healthy, why,
				b.Leaves(answer.Status == 0).Text("failed"), b.Returns().Text("good"))
		}
		return explained(t, d, &b, arg)
	})
}

func explained(t *testing.T, d *datadriven.TestData, b *Balancer, arg map[string]string) string {
	c, err := document.Parse("healthgate.yaml", []byte(d.Input))
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	from := netip.MustParseAddrPort("10.0.3.5:40000")
	if arg["from"] != "" {
		from = netip.AddrPortFrom(netip.MustParseAddr(arg["from"]), 40000)
	}
	u := &url.URL{Scheme: "http", Host: "10.0.3.17:8080", Path: arg["path"]}
	wire := b.Check(u, from.Addr().String(), arg["host"])
	sent := Sent{Answer: Answer{Status: 200}, Wire: wire, From: from, Upstream: arg["by"] == "application",
		Followed: arg["redirected"]}
	if arg["status"] != "" {
		sent.Status, _ = strconv.Atoi(arg["status"])
	}
	envoy := &Envoy{Endpoints: c.Config.Endpoints, Counts: arg["counts"] != "unseen", After: map[string]uint64{},
		Gaps: map[string][]string{"a": {"listener \"b\" has no healthgate"}}}
	for counted := range strings.SplitSeq(arg["counts"], ",") {
		endpoint, outcome, _ := strings.Cut(counted, ".")
		envoy.After[endpoint+".verdict."+outcome] = 1
		for i := range c.Config.Endpoints {
			for k := range verdict.Shown {
				reply := verdict.Reply(&c.Config.Endpoints[i], k)
				if k.String() == outcome && (int(reply.Status) == sent.Status || reply.ProbeStatus) {
					sent.Body = reply.Body
				}
			}
		}
	}
	if body, is := arg["body"]; is {
		sent.Body = body
	}
	if outcome := arg["meanwhile"]; outcome != "" {
		envoy.Before = map[string]uint64{"a.verdict." + outcome: 1}
	}
	r := Judge(b, u.String(), sent, envoy)
	out := fmt.Sprintf("by %q endpoint %q outcome %q\n", r.AnsweredBy, r.Endpoint, r.Outcome)
	for _, m := range r.Misses {
		for _, why := range m.Why {
			out += m.Endpoint + ": " + why + "\n"
		}
	}
	for _, note := range r.Notes {
		out += "note: " + note + "\n"
	}
	return out
}

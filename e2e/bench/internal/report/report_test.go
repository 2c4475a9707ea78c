package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func table(section, id string) Table { return Table{Section: section, ID: id, Title: id} }

func example() Report {
	t := table("checks", "checks")
	t.About, t.Chart, t.Commit = "How it was measured.", "rps", "abc"
	t.Measured = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t.Columns = []Column{{ID: "rps", Title: "requests/s"}, {ID: "ratio", Title: "ratio", Decimals: 2, Brief: true}}
	t.Rows = []Row{
		{Name: "first", Cells: map[string]Cell{"rps": Sampled([]float64{9000, 10000, 11000}), "ratio": {Value: 1}}},
		{Name: "a <b> & c", Ours: true, Cells: map[string]Cell{"rps": {Value: 1234567}}},
		{Name: "last", Missing: "no tool |\n at all"},
	}
	return Report{
		Machine:  Machine{"Some CPU", 2, 8 << 30, "Some OS", "6.1"},
		Versions: []Version{{"Envoy", "1.40.0"}, {"wrk", "4.1.0"}},
		Tables:   []Table{t},
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	const want = `Measured on 2 × Some CPU with 8 GB of memory, Some OS, Linux 6.1; Envoy 1.40.0, wrk 4.1.0.

## checks

How it was measured.

| | requests/s | ratio |
|---|---:|---:|
| first | 10,000 ±5 % | 1.00 |
| **a <b> & c** | 1,234,567 | |
| last | not measured: no tool \| at all | |

Measured 2026-01-02 at commit abc.
`
	if got := example().Markdown(2); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	checks := example().Tables[0]
	checks.Rows[0].Brief, checks.Rows[1].Brief = true, true
	checks.Rows[1].Cells["ratio"] = Cell{Value: 0.5}
	traffic := example().Tables[0]
	traffic.ID, traffic.Title = "traffic", "traffic"
	traffic.Rows = []Row{{Name: "only here", Brief: true, Cells: map[string]Cell{"ratio": {Value: 1}}}, checks.Rows[1], {Name: "not brief"}}
	r := Report{Tables: []Table{checks, traffic, example().Tables[0]}} // the last has no brief row
	const want = `| | checks: ratio | traffic: ratio |
|---|---:|---:|
| first | 1.00 | |
| **a <b> & c** | 0.50 | 0.50 |
| only here | | 1.00 |
`
	if got := r.Brief(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		v        float64
		decimals int
	}{
		"0": {0, 0}, "999": {999, 0}, "1,000": {999.6, 0}, "12,345.7": {12345.67, 1}, "-1,234": {-1234, 0}, "1,234,567": {1234567, 0},
	} {
		if got := Number(c.v, c.decimals); got != want {
			t.Errorf("Number(%v, %d) = %q, want %q", c.v, c.decimals, got, want)
		}
	}
}

func TestJSONKeepsAll(t *testing.T) {
	t.Parallel()
	r := example()
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("error %v\n%+v\nwant\n%+v", err, got, r)
	}
}

func TestReadOfNothing(t *testing.T) {
	t.Parallel()
	r, err := Read(filepath.Join(t.TempDir(), "none.json"))
	if err != nil || len(r.Tables) != 0 {
		t.Errorf("%+v, error %v", r, err)
	}
}

// Bars are as long as the figures say, and what was not measured has none.
func TestSVG(t *testing.T) {
	t.Parallel()
	r := example()
	r.Tables[0].Rows[1].Name = "`a` <b> & c" // code in Markdown
	svg := r.SVG()
	var widths, texts []string
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if token.Name.Local == "rect" && a.Name.Local == "width" {
					widths = append(widths, a.Value)
				}
			}
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
	if !slices.Equal(widths, []string{"3", "420"}) {
		t.Errorf("the bars are %v wide", widths)
	}
	for _, want := range []string{"a <b> & c", "1,234,567", "not measured"} {
		if !slices.Contains(texts, want) {
			t.Errorf("the picture does not say %q but %q", want, texts)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	sections := []string{"a", "b", "c"}
	old := Report{Machine: Machine{CPUs: 2}, Versions: []Version{{"Envoy", "1"}}, Tables: []Table{table("a", "a1"), table("b", "b1"), table("b", "b2")}}
	latest := Report{Machine: Machine{CPUs: 2}, Versions: []Version{{"Envoy", "1"}, {"Rust", "2"}}, Tables: []Table{table("b", "b3"), table("c", "c1")}}
	got := Merge(old, latest, sections)
	if ids := ids(got); !slices.Equal(ids, []string{"a1", "b3", "c1"}) {
		t.Errorf("the tables are %v", ids)
	}
	if !slices.Equal(got.Versions, latest.Versions) {
		t.Errorf("the versions are %v", got.Versions)
	}

	otherVersion, otherMachine := old, old
	otherVersion.Versions = []Version{{"Envoy", "0"}}
	otherMachine.Machine.CPUs = 64
	for name, old := range map[string]Report{"version": otherVersion, "machine": otherMachine} {
		if ids := ids(Merge(old, latest, sections)); !slices.Equal(ids, []string{"b3", "c1"}) {
			t.Errorf("other %s: the tables are %v", name, ids)
		}
	}
}

func ids(r Report) []string {
	var out []string
	for _, t := range r.Tables {
		out = append(out, t.ID)
	}
	return out
}

func TestInsert(t *testing.T) {
	t.Parallel()
	const document = "before\n<!-- x -->\nold\n<!-- /x -->\nafter\n"
	got, err := Insert(document, "x", "new\n")
	if want := "before\n<!-- x -->\n\nnew\n\n<!-- /x -->\nafter\n"; err != nil || got != want {
		t.Errorf("%q, error %v; want %q", got, err, want)
	}
	again, err := Insert(got, "x", "new\n")
	if err != nil || again != got {
		t.Errorf("a second time: %q, error %v", again, err)
	}
	for _, document := range []string{"", "<!-- x -->\n", "<!-- /x -->\n<!-- x -->\n"} {
		if _, err := Insert(document, "x", "new"); err == nil {
			t.Errorf("%q was accepted", document)
		}
	}
}

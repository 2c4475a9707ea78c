package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
)

// writeCounts says of many Envoys how many are how, and puts those first that fail.
func writeCounts(w io.Writer, reports []report.Report) {
	if len(reports) < 2 {
		return
	}
	count := map[report.Class]int{}
	for i := range reports {
		count[reports[i].Class()]++
	}
	var parts []string
	for class := range report.Classes {
		if n := count[class]; n > 0 {
			parts = append(parts, paint(w, colours[class], fmt.Sprintf("%d %s", n, class)))
		}
	}
	slices.SortStableFunc(reports, func(a, b report.Report) int { return int(a.Class()) - int(b.Class()) })
	fmt.Fprintf(w, "%d Envoys: %s\n\n", len(reports), strings.Join(parts, ", "))
}

// writeReport writes what a person wants to see of one Envoy.
func writeReport(w io.Writer, r *report.Report, now time.Time) {
	writeVerdicts(w, r, now)
	writeDetails(w, r, now)
	fmt.Fprintln(w)
}

// writeVerdicts writes what checks get, and which Envoy says so.
func writeVerdicts(w io.Writer, r *report.Report, now time.Time) {
	head := []string{paint(w, bold, printable(r.Envoy))}
	add := func(colour, text string) {
		if text != "" {
			head = append(head, paint(w, colour, printable(text)))
		}
	}
	if r.Error != "" {
		add(red, r.Error)
		fmt.Fprintln(w, strings.Join(head, "  "))
		return
	}
	for _, part := range summary(r) {
		add(part.colour, part.text)
	}
	add("", r.Node)
	if r.Zone != "" {
		add("", "zone "+r.Zone)
	}
	add("", r.State)
	switch {
	case r.Draining == nil:
		add("", "draining not known")
	case *r.Draining:
		add(yellow, "draining")
	default:
		add("", "not draining")
	}
	if r.SnapshotAgeMS != nil {
		add("", "record "+(time.Duration(*r.SnapshotAgeMS)*time.Millisecond).String()+" old")
	}
	fmt.Fprintln(w, strings.Join(head, "  "))
	writeTable(w, "  ", endpointRows(r, now))
}

// writeDetails writes the probes, and notes.
func writeDetails(w io.Writer, r *report.Report, now time.Time) {
	writeTable(w, "  ", probeRows(r, now))
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable(note))
	}
}

// summary says in words how many health checks fail.
func summary(r *report.Report) (out []cell) {
	count := map[report.Class]int{}
	marks := map[string]bool{}
	for _, e := range r.Endpoints {
		count[report.Of(e.Verdict)]++
		marks[e.Mark()] = true
	}
	all := len(r.Endpoints)
	for class := range report.Classes {
		if n := count[class]; n > 0 && (n == all || class != report.Healthy) {
			out = append(out, cell{fmt.Sprintf("%d of %d health checks %s", n, all,
				strings.TrimSuffix(class.String(), " for sure")), colours[class]})
		}
	}
	if all == 0 {
		out = []cell{{"no health check is known", yellow}}
	}
	for _, mark := range []string{", not everywhere", ", not for sure"} {
		if marks[mark] {
			out = append(out, cell{mark[2:] + ", see the notes", yellow})
		}
	}
	if marks[report.NoCheckSeen] {
		out = append(out, cell{text: report.NoCheckSeen[2:]})
	}
	return out
}

func endpointRows(r *report.Report, now time.Time) [][]cell {
	if len(r.Endpoints) == 0 {
		return nil
	}
	rows := [][]cell{plain("ENDPOINT", "CHECKS GET", "WHY")}
	for _, e := range r.Endpoints {
		rows = append(rows, []cell{{text: report.Named(e.Name, e.Listener)},
			{e.Gets(), verdictColour(e.Verdict)}, {text: cmp.Or(e.Why(now), "-")}})
	}
	return rows
}

// colours are those of classes; what is not known has none, and what the application answers.
var colours = map[report.Class]string{
	report.Failing: red, report.Unasked: red, report.Planned: yellow, report.Degraded: yellow,
	report.Healthy: green,
}

func verdictColour(verdict string) string { return colours[report.Of(verdict)] }

func probeRows(r *report.Report, now time.Time) [][]cell {
	if len(r.Probes) == 0 {
		return nil
	}
	rows := [][]cell{plain("PROBE", "STATE", "SINCE", "ANSWER", "LATENCY", "LAST ASKED")}
	for _, p := range r.Probes {
		state, latency := cell{text: p.State()}, "-"
		if p.Healthy != nil {
			state.colour = red
			if *p.Healthy {
				state.colour = green
			}
		}
		if p.LatencyMS != nil {
			latency = strconv.FormatInt(*p.LatencyMS, 10) + "ms"
		}
		rows = append(rows, []cell{{text: report.Named(p.Name, p.Listener)}, state, {text: report.Moment(p.Since, now)},
			{text: cmp.Or(p.Last(), "-")}, {text: latency}, {text: report.Moment(p.LastAsked, now)}})
	}
	return rows
}

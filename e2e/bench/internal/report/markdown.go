package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Markdown returns the whole report, its tables under headings of the level.
func (r Report) Markdown(level int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Circumstances())
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s %s\n\n", strings.Repeat("#", level), t.Title)
		if t.Quick {
			b.WriteString("**A quick run: it shows that all works, its figures are worth nothing.**\n\n")
		}
		fmt.Fprintf(&b, "%s\n\n%s", t.About, t.Markdown())
		if commit := t.Commit; commit != "" {
			fmt.Fprintf(&b, "\nMeasured %s at commit %s.\n", t.Measured.UTC().Format("2006-01-02"), commit)
		}
	}
	return b.String()
}

// Brief returns the short form: one table of the rows and columns that are marked for it, each table's columns beside
// those of the others.
func (r Report) Brief() string {
	var brief Table
	for _, t := range r.Tables {
		if !slices.ContainsFunc(t.Rows, func(row Row) bool { return row.Brief }) {
			continue
		}
		for _, c := range t.Columns {
			if c.Brief {
				brief.Columns = append(brief.Columns, Column{ID: t.ID + c.ID, Title: t.Title + ": " + c.Title, Decimals: c.Decimals})
			}
		}
		for _, row := range t.Rows {
			if !row.Brief {
				continue
			}
			i := slices.IndexFunc(brief.Rows, func(other Row) bool { return other.Name == row.Name })
			if i < 0 {
				i = len(brief.Rows)
				brief.Rows = append(brief.Rows, Row{Name: row.Name, Ours: row.Ours, Missing: row.Missing, Cells: map[string]Cell{}})
			}
			for id, cell := range row.Cells {
				brief.Rows[i].Cells[t.ID+id] = cell
			}
		}
	}
	return brief.Markdown()
}

// Circumstances returns the machine and the versions, as a paragraph.
func (r Report) Circumstances() string {
	var versions []string
	for _, v := range r.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	m := r.Machine
	return fmt.Sprintf("Measured on %d × %s with %s GB of memory, %s, Linux %s; %s.",
		m.CPUs, m.CPU, Number(float64(m.Memory)/(1<<30), 0), m.OS, m.Kernel, strings.Join(versions, ", "))
}

// Markdown returns the table alone. A figure from several samples is the median, with half the distance between the
// quartiles behind it.
func (t Table) Markdown() string {
	var b strings.Builder
	b.WriteString("| |")
	rule := "|---|"
	for _, c := range t.Columns {
		fmt.Fprintf(&b, " %s |", c.Title)
		rule += "---:|"
	}
	fmt.Fprintf(&b, "\n%s\n", rule)
	for _, row := range t.Rows {
		name := row.Name
		if row.Ours {
			name = "**" + name + "**"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for i, c := range t.Columns {
			cell, is := row.Cells[c.ID]
			switch {
			case row.Missing != "" && i == 0:
				fmt.Fprintf(&b, " not measured: %s |", oneLine(row.Missing))
			case !is:
				b.WriteString(" |")
			default:
				fmt.Fprintf(&b, " %s |", cell.text(c.Decimals))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c Cell) text(decimals int) string {
	out := Number(c.Value, decimals)
	if c.Samples > 1 {
		out += fmt.Sprintf(" ±%s %%", strconv.FormatFloat(c.Spread*100, 'f', 0, 64))
	}
	return out
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// Number writes a figure with commas between its thousands.
func Number(v float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if v < 0 {
		whole = "-" + whole
	}
	return whole
}

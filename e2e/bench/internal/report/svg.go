package report

import (
	"fmt"
	"html"
	"strings"
)

// SVG returns a picture: a group of bars for each table that has a chart. It has colours of its own for light and dark.
func (r Report) SVG() string {
	const (
		width  = 820
		labels = 300 // where the bars begin
		bar    = 420 // the longest
		line   = 22
		head   = 40
		margin = 16
	)
	var body strings.Builder
	y := margin
	for _, t := range r.Tables {
		column, ok := t.column(t.Chart)
		if !ok {
			continue
		}
		longest := 0.0
		for _, row := range t.Rows {
			longest = max(longest, row.Cells[column.ID].Value)
		}
		fmt.Fprintf(&body, `<text class="title" x="%d" y="%d">%s: %s</text>`+"\n",
			margin, y+line-4, label(t.Title), label(column.Title))
		y += head
		for _, row := range t.Rows {
			class := "peer"
			if row.Ours {
				class = "ours"
			}
			fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labels-8, y+12, label(row.Name))
			cell, measured := row.Cells[column.ID]
			text, length := "not measured", 0
			if measured && longest > 0 {
				text = Number(cell.Value, column.Decimals)
				length = max(1, int(cell.Value/longest*bar))
				fmt.Fprintf(&body, `<rect class="%s" x="%d" y="%d" width="%d" height="16" rx="2"/>`+"\n", class, labels, y-1, length)
			}
			fmt.Fprintf(&body, `<text x="%d" y="%d">%s</text>`+"\n", labels+length+6, y+12, text)
			y += line
		}
		y += margin
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<style>
svg { background: #fff } text { font: 13px sans-serif; fill: #1f2328 } .title { font-weight: bold; font-size: 14px }
.peer { fill: #8c959f } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } text { fill: #e6edf3 } .peer { fill: #6e7681 } .ours { fill: #4493f8 } }
</style>
%s</svg>
`, width, y, width, y, body.String())
}

// label returns text without Markdown's marks for code.
func label(markdown string) string { return html.EscapeString(strings.ReplaceAll(markdown, "`", "")) }

func (t Table) column(id string) (Column, bool) {
	for _, c := range t.Columns {
		if c.ID == id && id != "" {
			return c, true
		}
	}
	return Column{}, false
}

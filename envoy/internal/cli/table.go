package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// cell is one field of a table.
type cell struct{ text, colour string }

// plain is a row without colours.
func plain(texts ...string) []cell {
	var out []cell
	for _, t := range texts {
		out = append(out, cell{text: t})
	}
	return out
}

// writeTable writes rows whose columns are aligned. What an Envoy says may hold anything: nothing that steers a
// terminal gets through.
func writeTable(w io.Writer, margin string, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i].text = printable(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(row[i].text))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		line := margin
		for i, c := range row {
			text := c.text
			if c.colour != "" && text != "" {
				text = paint(w, c.colour, text)
			}
			line += text
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-columns(c.text)+2)
			}
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprint(w, out.String())
}

// columns is how many columns of a terminal a text takes: two for each character of Chinese and the like.
func columns(s string) (n int) {
	for _, c := range s {
		n++
		switch kind := width.LookupRune(c).Kind(); {
		case unicode.Is(unicode.Mn, c):
			n--
		case kind == width.EastAsianWide, kind == width.EastAsianFullwidth:
			n++
		}
	}
	return n
}

// writeJSON writes a value as JSON, each level indented. What does not print is escaped there.
func writeJSON(w io.Writer, value any, indent string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(value) // can always be written
	var out []byte
	for _, c := range text.String() {
		if c == '\n' || unicode.IsPrint(c) {
			out = utf8.AppendRune(out, c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			out = fmt.Appendf(out, "\\u%04x", unit)
		}
	}
	_, err := w.Write(out)
	return err
}

func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}

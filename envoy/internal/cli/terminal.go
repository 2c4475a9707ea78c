package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Colours of ECMA-48.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// isTerminal reports whether what is written steers a terminal.
func isTerminal(w io.Writer) bool {
	file, is := w.(*os.File)
	return is && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// hasColours reports whether someone looks at what is written, and wants it in colour (no-color.org).
func hasColours(w io.Writer) bool {
	if f, is := w.(*frame); is {
		w = f.to
	}
	return isTerminal(w) && os.Getenv("NO_COLOR") == ""
}

func paint(w io.Writer, colour, text string) string {
	if colour == "" || !hasColours(w) {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

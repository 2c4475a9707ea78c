package cli

import (
	"cmp"
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

// output is standard output. It keeps the first error: what could not be written was not said.
type output struct {
	*os.File
	failed error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.File.Write(b)
	o.failed = cmp.Or(o.failed, err)
	return n, err
}

func (o *output) WriteString(s string) (int, error) { return o.Write([]byte(s)) }

// ReadFrom copies by Write.
func (o *output) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{o}, r) }

// elsewhere writes to the second what the first does not take.
type elsewhere struct{ first, second io.Writer }

func (e elsewhere) Write(b []byte) (int, error) {
	if n, err := e.first.Write(b); err == nil {
		return n, nil
	}
	return e.second.Write(b)
}

// isTerminal reports whether what is written steers a terminal.
func isTerminal(w io.Writer) bool {
	file, is := w.(interface{ Fd() uintptr })
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

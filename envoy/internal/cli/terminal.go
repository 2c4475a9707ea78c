package cli

import (
	"cmp"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"golang.org/x/term"
)

// Colours of ECMA-48.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// output is standard output. It keeps the first error, which Main tells: what could not be written was not said. So who
// writes here, by fmt or as below, need not look for one.
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

// told is standard error. Whatever an Envoy, a file or an argument puts into a text, nothing but what paint writes
// steers the terminal: all else that does not print is shown.
type told struct{ *os.File }

var steering = regexp.MustCompile(`\n|\x1b\[[0-9]+m[^\x00-\x1f\x7f-\x{9f}]*\x1b\[0m`)

func (t told) Write(b []byte) (int, error) {
	var out strings.Builder
	at := 0
	for _, is := range append(steering.FindAllIndex(b, -1), []int{len(b), len(b)}) {
		out.WriteString(document.Printable(string(b[at:is[0]])))
		out.Write(b[is[0]:is[1]])
		at = is[1]
	}
	_, err := t.WriteString(out.String())
	return len(b), err
}

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

package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
	"golang.org/x/term"
)

// Sequences of ECMA-48 and xterm. The alternate screen leaves alone what the terminal showed and its scrollback;
// lines are cut at its edge, so that each takes one row.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// frame is what one screen shows.
type frame struct {
	bytes.Buffer
	to io.Writer
}

// watchReports writes reports again and again: on a terminal over each other, the verdicts first; elsewhere one after
// the other.
func watchReports(w io.Writer, reports []report.Report, interval time.Duration, now time.Time) error {
	f := &frame{to: w}
	fmt.Fprintf(f, "%s  every %s, Ctrl-C ends\n\n", paint(w, bold, now.UTC().Format(time.RFC3339)), interval)
	parts := []func(io.Writer, *report.Report, time.Time) error{writeReport}
	rows := 0
	if isTerminal(w) {
		parts = []func(io.Writer, *report.Report, time.Time) error{writeVerdicts, writeDetails}
		if _, height, err := term.GetSize(int(w.(interface{ Fd() uintptr }).Fd())); err == nil {
			rows = height
		}
	}
	if err := writeCounts(f, reports); err != nil {
		return err
	}
	for _, write := range parts {
		for i := range reports {
			if err := write(f, &reports[i], now); err != nil {
				return err
			}
			if len(parts) > 1 && i == len(reports)-1 {
				fmt.Fprintln(f)
			}
		}
	}
	text := f.String()
	if isTerminal(w) {
		text = screen(text, rows)
	}
	_, err := io.WriteString(w, text)
	return err
}

// screen overwrites what a terminal of so many rows shows; 0: it has any number.
func screen(text string, rows int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if rows > 1 && len(lines) > rows {
		lines = append(lines[:rows-1], fmt.Sprintf("… and %d more lines", len(lines)-rows+1))
	}
	return home + strings.Join(lines, clearLine+"\n") + clearLine + clearBelow
}

package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/report"
	"golang.org/x/term"
)

// Sequences of ECMA-48 and xterm. The alternate screen leaves alone what the terminal showed and its scrollback;
// lines are folded here, so that their rows are known.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// suspendable leaves the screen while Ctrl-Z has the command sleep, and enters it again then. Nothing else is written
// meanwhile by who holds the lock to write.
func suspendable(writing *sync.Mutex, out io.Writer, sleep func()) (end func()) {
	stops, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(stops, syscall.SIGTSTP)
	go func() {
		for {
			select {
			case <-stops:
			case <-ended:
				return
			}
			writing.Lock()
			_, _ = io.WriteString(out, leaveScreen)
			sleep()
			_, _ = io.WriteString(out, enterScreen)
			writing.Unlock()
		}
	}()
	return func() {
		signal.Stop(stops)
		close(ended)
	}
}

// sleep stops this process until it is continued.
func sleep() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) == nil {
		<-continued
	}
}

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
	parts := []func(io.Writer, *report.Report, time.Time){writeReport}
	rows, columns := 0, 0
	if isTerminal(w) {
		parts = []func(io.Writer, *report.Report, time.Time){writeVerdicts,
			func(w io.Writer, r *report.Report, now time.Time) {
				if len(reports) > 1 && len(r.Probes)+len(r.Notes) > 0 {
					fmt.Fprintln(w, paint(w, bold, printable(r.Envoy)))
				}
				writeDetails(w, r, now)
			}}
		if width, height, err := term.GetSize(int(w.(interface{ Fd() uintptr }).Fd())); err == nil {
			rows, columns = height, width
		}
	}
	writeCounts(f, reports)
	for _, write := range parts {
		for i := range reports {
			write(f, &reports[i], now)
			if len(parts) > 1 && i == len(reports)-1 {
				fmt.Fprintln(f)
			}
		}
	}
	text := f.String()
	if isTerminal(w) {
		text = screen(text, rows, columns)
	}
	_, err := io.WriteString(w, text)
	return err
}

// screen overwrites what a terminal of so many rows and columns shows; 0: it has any number.
func screen(text string, rows, columns int) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, fold(line, columns)...)
	}
	if rows > 1 && len(lines) > rows {
		lines = append(lines[:rows-1], fmt.Sprintf("… and %d more lines", len(lines)-rows+1))
	}
	return home + strings.Join(lines, clearLine+"\n") + clearLine + clearBelow
}

// fold breaks a line at the edge of a terminal, and leaves alone the sequences in it, which take no column.
func fold(line string, edge int) (rows []string) {
	var row strings.Builder
	taken, sequence := 0, false
	for _, c := range line {
		if sequence = sequence || c == '\x1b'; !sequence {
			wide := columns(string(c))
			if taken += wide; edge > 0 && taken > edge {
				rows, taken = append(rows, row.String()), wide
				row.Reset()
			}
		}
		row.WriteRune(c)
		sequence = sequence && (c == '\x1b' || c == '[' || c == ';' || c >= '0' && c <= '9')
	}
	return append(rows, row.String())
}

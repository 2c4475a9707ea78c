package demo

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// lines mixes what several writers say, whole line by whole line, each with a name in front.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.w, text)
}

func (l *lines) logger(name string) func(format string, args ...any) {
	return func(format string, args ...any) { l.print(name + " | " + fmt.Sprintf(format, args...) + "\n") }
}

func (l *lines) writer(name string) io.Writer { return &lineWriter{name: name, out: l} }

type lineWriter struct {
	name string
	out  *lines
	rest []byte // the begin of a line whose end has not come yet
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.out.print(w.name + " | " + string(line) + "\n")
		w.rest = rest
	}
}

package envoytest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// Log holds what a process wrote to one of its outputs. It is the io.Writer for that output.
type Log struct {
	mu    sync.Mutex
	lines []string
	rest  []byte // the line that has not ended yet
}

// Write takes the next piece of output.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		l.lines = append(l.lines, string(line))
		l.rest = rest
	}
}

// Lines returns the lines that contain every one of the texts, in their order.
func (l *Log) Lines(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, line := range l.lines {
		if containsAll(line, texts) {
			out = append(out, line)
		}
	}
	return out
}

func containsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// Has returns an error unless some line contains every one of the texts: a condition for Eventually.
func (l *Log) Has(texts ...string) error {
	if len(l.Lines(texts...)) == 0 {
		return fmt.Errorf("no line with %q", texts)
	}
	return nil
}

// Tail returns the last n lines.
func (l *Log) Tail(n int) string {
	lines := l.Lines()
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

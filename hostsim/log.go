package hostsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LogLevel is a level of Envoy's log, numbered as in the ABI.
type LogLevel int

// The levels.
const (
	LogTrace LogLevel = iota
	LogDebug
	LogInfo
	LogWarn
	LogError
	LogCritical
)

var levelNames = [...]string{"trace", "debug", "info", "warning", "error", "critical"}

// String is the level as Envoy prints it.
func (l LogLevel) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("level(%d)", int(l))
	}
	return levelNames[l]
}

// LogEntry is one line of the log.
type LogEntry struct {
	Time    time.Time
	Thread  string // "base", "canary", "main", "worker 0", …
	Level   LogLevel
	Message string // without the prefix "wasm log NAME ROOT_ID VM_ID: " of Envoy's
}

// String is the entry as one line.
func (e LogEntry) String() string {
	return fmt.Sprintf("[%s][%s][%s] %s", e.Time.UTC().Format("15:04:05.000"), e.Thread, e.Level, e.Message)
}

// log writes a message of the plugin.
func (v *vm) log(level LogLevel, msg string) {
	v.host.logLine(v.threadName(), level, msg)
}

func (h *Host) logLine(thread string, level LogLevel, msg string) {
	if level < h.cfg.logLevel {
		return
	}
	e := LogEntry{h.time.Realtime(), thread, level, msg}
	h.logMu.Lock()
	defer h.logMu.Unlock()
	h.logs = append(h.logs, e)
	if h.cfg.logTo != nil {
		fmt.Fprintln(h.cfg.logTo, e)
	}
}

// Logs returns the log so far.
func (h *Host) Logs() []LogEntry { return h.LogsFrom(0) }

// LogsFrom returns the entries of the log from index n on, without copying them. n may be the number of entries so far.
func (h *Host) LogsFrom(n int) []LogEntry {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	return slices.Clip(h.logs[n:])
}

// LogText returns the messages so far, one a line.
func (h *Host) LogText() string {
	var b strings.Builder
	for _, e := range h.Logs() {
		b.WriteString(e.Message)
		b.WriteByte('\n')
	}
	return b.String()
}

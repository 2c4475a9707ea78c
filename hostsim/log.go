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
	Plugin  string // the PluginName of whose VM it is; "" if the host has but one plugin
	Level   LogLevel
	Message string // without the prefix "wasm log NAME ROOT_ID VM_ID: " of Envoy's
	// Callback is the function of the plugin that ran, such as "proxy_on_request_headers", and Context the ID of the
	// stream or root it ran for. They are empty for what the host says.
	Callback string
	Context  uint32

	written string // to standard error
}

// String is the entry as one line.
func (e LogEntry) String() string {
	thread := e.Thread
	if e.Plugin != "" {
		thread += "/" + e.Plugin
	}
	return fmt.Sprintf("[%s][%s][%s] %s", e.Time.UTC().Format("15:04:05.000"), thread, e.Level, e.Message)
}

// log writes a message of the plugin.
func (v *vm) log(level LogLevel, msg string) {
	v.logEntry(LogEntry{Level: level, Message: msg})
}

func (v *vm) logEntry(e LogEntry) {
	e.Callback = v.callback
	if v.current != nil {
		e.Context = v.current.id
	}
	v.write(e)
}

// logLine writes what the host says of the VM.
func (v *vm) logLine(level LogLevel, msg string) { v.write(LogEntry{Level: level, Message: msg}) }

func (v *vm) write(e LogEntry) {
	h := v.host
	if e.Level < h.cfg.logLevel {
		return
	}
	e.Time, e.Thread = h.time.Realtime(), v.threadName()
	if h.several() {
		e.Plugin = v.plugin.name
		if v.current != nil {
			e.Plugin = v.current.root.plugin.name
		}
	}
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
	return slices.Clip(from("LogsFrom", h.logs, n))
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

// LogDump is a part of the log for people, one entry a line. What a plugin writes to standard error in pieces, as Go
// does when it panics, is put together again; in Envoy's log, each piece is a line.
func LogDump(entries []LogEntry) string {
	var b strings.Builder
	for i, e := range entries {
		var before LogEntry
		if i > 0 {
			before = entries[i-1]
		}
		switch {
		case e.written == "":
			b.WriteString(e.String() + "\n")
		case before.written != "" && before.Thread == e.Thread && before.Callback == e.Callback:
			b.WriteString(e.written)
		default:
			text := e.String()
			b.WriteString(text[:len(text)-len(e.Message)] + e.written)
		}
		if e.written != "" && (i+1 == len(entries) || entries[i+1].written == "") && !strings.HasSuffix(e.written, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

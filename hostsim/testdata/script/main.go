// Command script is a proxy-wasm plugin that does what its configuration says, call
// by call, and logs what came of it. It stands on no SDK, so that every host call can
// be made with any argument.
//
// Each line of the configuration is a callback's name and a host call in it:
//
//	request_headers get_header_map_value 0 ":path"
//	request_headers return 1
//	tick define_metric 0 "ticks" >m
//	tick increment_metric $m 1
//
// Arguments are numbers, Go strings, variables ($m; $stream is the id of the last
// stream), and, at the end, >m for the variable that takes the number that comes out.
// A header map is a string of "name=value" lines. Every call is logged as
//
//	request_headers get_header_map_value 0 ":path" = 0 "/"
//
// and with the line "trace" every callback as well, as "request_headers(2 8 1)". The
// line "CALLBACK return N" is the callback's result, "CALLBACK once" lets the lines of
// that callback after it be run but once, "CALLBACK trap" panics, and "CALLBACK
// recurse N" calls a function in itself, so deep.
package main

import (
	"strconv"
	"strings"
)

type line struct {
	text string
	op   string
	args []string
	out  string
	done bool
	once bool
}

var (
	script = map[string][]*line{}
	trace  bool
	vars   = map[string]uint64{}
)

func main() {}

// load reads the script from the plugin configuration.
func load(size uint32) {
	if size == 0 {
		return
	}
	script, trace = map[string][]*line{}, false
	var o outString
	proxyGetBufferBytes(7, 0, size, o.ptr(), o.size())
	once := map[string]bool{}
	for _, text := range strings.Split(o.String(), "\n") {
		words := split(text)
		switch {
		case len(words) == 0:
		case words[0] == "trace":
			trace = true
		case len(words) > 1 && words[1] == "once":
			once[words[0]] = true
		case len(words) > 1:
			l := &line{text: strings.TrimSpace(text), op: words[1], args: words[2:], once: once[words[0]]}
			if n := len(l.args); n > 0 && strings.HasPrefix(l.args[n-1], ">") {
				l.out, l.args = l.args[n-1][1:], l.args[:n-1]
			}
			script[words[0]] = append(script[words[0]], l)
		}
	}
}

// split cuts a line into words; a word in quotes may hold blanks.
func split(text string) []string {
	var words []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if text[0] == '"' {
			q, err := strconv.QuotedPrefix(text)
			if err != nil {
				return append(words, text)
			}
			words = append(words, q)
			text = text[len(q):]
			continue
		}
		w, rest, _ := strings.Cut(text, " ")
		words = append(words, w)
		text = rest
	}
	return words
}

// run does a callback's lines and returns its result.
func run(callback, args string, result uint32) uint32 {
	if trace {
		say(callback + "(" + args + ")")
	}
	for _, l := range script[callback] {
		if l.done {
			continue
		}
		l.done = l.once
		switch l.op {
		case "return":
			result = uint32(l.num(0))
		case "trap":
			panic("as the script says")
		case "loop":
			for i := 0; ; i++ {
				vars["i"] = uint64(i)
			}
		case "recurse":
			say("after " + strconv.Itoa(recurse(int(l.num(0)))) + " frames")
		case "say":
			say(l.str(0))
		default:
			status, out := l.call()
			say(l.text + " = " + strconv.Itoa(int(status)) + out)
		}
	}
	return result
}

//go:noinline
func recurse(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + recurse(n-1)
}

func say(s string) {
	p, n := str(s)
	proxyLog(2, p, n)
}

// num is an argument as a number.
func (l *line) num(i int) uint64 {
	if i >= len(l.args) {
		return 0
	}
	a := l.args[i]
	if strings.HasPrefix(a, "$") {
		return vars[a[1:]]
	}
	if n, err := strconv.ParseInt(a, 0, 64); err == nil {
		return uint64(n)
	}
	n, _ := strconv.ParseUint(a, 0, 64)
	return n
}

func (l *line) u(i int) uint32 { return uint32(l.num(i)) }

// str is an argument as a string.
func (l *line) str(i int) string {
	if i >= len(l.args) {
		return ""
	}
	s, err := strconv.Unquote(l.args[i])
	if err != nil {
		return l.args[i]
	}
	return s
}

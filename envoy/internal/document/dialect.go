package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// breaks are the characters that end a line in YAML 1.1, as the library reads it, and not in YAML 1.2, in JSON and for
// Envoy.
const breaks = "\u0085\u2028\u2029"

// StrangeBreak returns a remark on the first line break that not every reader takes for one; nil if there is none.
func StrangeBreak(file string, text []byte) *Problem {
	at := bytes.IndexAny(text, breaks)
	if at < 0 {
		return nil
	}
	r, _ := utf8.DecodeRune(text[at:])
	line, column := position(text, at)
	return &Problem{File: file, Line: line, Column: column,
		What: fmt.Sprintf("the character %U ends a line for some readers of YAML, and for others does not; take it out, "+
			`or write it as "\u%04x" in double quotes`, r, r)}
}

// signs match, behind quotes and comments, a sign that is a part of a text between brackets or braces in YAML 1.2,
// or that somebody takes for one, and for the library ends it or begins something else.
var signs = regexp.MustCompile(`"(?:\\.|[^"\\])*"|'[^']*'|(?m:(?:^|\s)#.*$)|` +
	`[^\s\[\]{},:]([?\[{])|[\[{,:]\s+([:?]\S)|[\[{,](:\S)|[\s\[{,:]([*&](?:[^\w-]|$))`)

// signFrom returns where the first of these signs is in what begins in a line, and ends before one no deeper; or -1.
func signFrom(text []byte, line int) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	line = min(line, len(lines)) // the library tells one behind the last
	blanks := func(s []byte) int { return len(s) - len(bytes.TrimLeft(s, " ")) }
	from, end := len(bytes.Join(lines[:line-1], nil)), len(text)
	if i := slices.IndexFunc(lines[line:], func(s []byte) bool {
		return blanks(s) <= blanks(lines[line-1]) && bytes.IndexAny(s, "]}#\r\n") != blanks(s)
	}); i >= 0 {
		end = len(bytes.Join(lines[:line+i], nil))
	}
	for _, m := range signs.FindAllSubmatchIndex(text[from:end], -1) {
		if at := max(m[2], m[4], m[6], m[8]); at >= 0 {
			return from + at
		}
	}
	return -1
}

// position returns the line and the column of a place in a text.
func position(text []byte, at int) (line, column int) {
	before := text[:at]
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// Decoder returns a decoder of the YAML library for a text that may say that it is YAML 1.2: the library reads it, but
// refuses the name.
func Decoder(text []byte) *yaml.Decoder {
	text = Unescape(text)
	if version := itsVersion.FindSubmatchIndex(text); version != nil {
		text = bytes.Clone(text)
		text[version[2]] = '1'
	}
	return yaml.NewDecoder(bytes.NewReader(text))
}

// Unescape returns JSON without the escapes that the YAML library refuses: a slash in one, a character in two, as in
// "\ud83d\ude00". Other text stays as it is.
func Unescape(text []byte) []byte {
	if !json.Valid(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		return text
	}
	return escapes.ReplaceAllFunc(text, func(e []byte) []byte {
		var character string
		if json.Unmarshal(slices.Concat([]byte{'"'}, e, []byte{'"'}), &character) == nil && (len(e) == 12 || e[1] == '/') {
			return []byte(character)
		}
		return e
	})
}

var escapes = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\.`)

// itsVersion matches the directive, behind comments and blank lines alone, with the digit of YAML 1.2.
var itsVersion = regexp.MustCompile(`\A(?:\x{feff})?(?:[ \t]*(?:#.*)?\r?\n)*%YAML[ \t]+1\.(2)\s`)

// EscapeJSON returns JSON in which what does not print is escaped: readers of YAML refuse some of it, or take it for a
// line break.
func EscapeJSON(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if r < 0x10000 && !unicode.IsPrint(r) && r != '\n' {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

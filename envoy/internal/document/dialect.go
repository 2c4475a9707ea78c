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

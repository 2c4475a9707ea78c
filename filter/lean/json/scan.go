package json

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Line, Column int    // from 1; the column counts characters
	Expected     string // what could stand there
	Found        string // what does
}

func (e *SyntaxError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ": expected " +
		e.Expected + ", found " + e.Found
}

func syntaxError(s string, i int, expected string) *SyntaxError {
	e := &SyntaxError{Line: 1 + strings.Count(s[:i], "\n"), Expected: expected, Found: "the end"}
	e.Column = 1 + utf8.RuneCountInString(s[strings.LastIndexByte(s[:i], '\n')+1:i])
	if i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r < ' ' || r == 0x7f || r == utf8.RuneError && size == 1 {
			e.Found = "byte 0x" + strconv.FormatUint(uint64(s[i])+0x100, 16)[1:]
		} else {
			e.Found = "'" + s[i:i+size] + "'"
		}
	}
	return e
}

// blanks returns where the blanks that begin at s[i] end.
func blanks(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// scan reads the value at s[i] and returns where it ends. For malformed input, expected says what should stand at end.
// Each of the functions below does the same for a part of the grammar.
func scan(s string, i, depth int) (end int, expected string) {
	if i == len(s) {
		return i, "a value"
	}
	switch s[i] {
	case '"':
		return scanString(s, i)
	case '{', '[':
		if depth == MaxDepth {
			return i, "at most " + strconv.Itoa(MaxDepth) + " levels of nesting"
		}
		return scanNested(s, i, depth+1)
	case 't':
		return scanWord(s, i, "true")
	case 'f':
		return scanWord(s, i, "false")
	case 'n':
		return scanWord(s, i, "null")
	default:
		return scanNumber(s, i)
	}
}

func scanNested(s string, i, depth int) (end int, expected string) {
	closing := s[i] + 2 // in ASCII, ']' comes two after '[', and '}' two after '{'
	i = blanks(s, i+1)
	if i < len(s) && s[i] == closing {
		return i + 1, ""
	}
	for {
		if closing == '}' {
			if i == len(s) || s[i] != '"' {
				return i, "a field's name in double quotes"
			}
			if i, expected = scanString(s, i); expected != "" {
				return i, expected
			}
			if i = blanks(s, i); i == len(s) || s[i] != ':' {
				return i, "':'"
			}
			i = blanks(s, i+1)
		}
		if i, expected = scan(s, i, depth); expected != "" {
			return i, expected
		}
		switch i = blanks(s, i); {
		case i < len(s) && s[i] == ',':
			i = blanks(s, i+1)
		case i < len(s) && s[i] == closing:
			return i + 1, ""
		case closing == '}':
			return i, "',' or '}'"
		default:
			return i, "',' or ']'"
		}
	}
}

// simpleEscapes are the escapes of one character.
const simpleEscapes = `"\/bfnrt`

func scanString(s string, i int) (end int, expected string) {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, ""
		case c < ' ':
			return i, `an escape such as \n`
		case c == '\\':
			if i++; i == len(s) || s[i] != 'u' && strings.IndexByte(simpleEscapes, s[i]) < 0 {
				return i, `one of "\/bfnrtu after the backslash`
			}
			if s[i] == 'u' {
				for digits := 0; digits < 4; digits++ {
					if i++; i == len(s) || !isHex(s[i]) {
						return i, `four hexadecimal digits after \u`
					}
				}
			}
		}
	}
	return i, "a closing quote"
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func scanWord(s string, i int, word string) (end int, expected string) {
	if !strings.HasPrefix(s[i:], word) {
		return i, "a value"
	}
	return i + len(word), ""
}

func scanNumber(s string, i int) (end int, expected string) {
	switch {
	case s[i] == '-':
		i++
	case !isDigit(s[i]):
		return i, "a value"
	}
	if i < len(s) && s[i] == '0' {
		i++ // and no other digit
	} else if i, expected = scanDigits(s, i); expected != "" {
		return i, expected
	}
	if i < len(s) && s[i] == '.' {
		if i, expected = scanDigits(s, i+1); expected != "" {
			return i, expected
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return scanDigits(s, i)
	}
	return i, ""
}

func scanDigits(s string, i int) (end int, expected string) {
	if i == len(s) || !isDigit(s[i]) {
		return i, "a digit"
	}
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i, ""
}

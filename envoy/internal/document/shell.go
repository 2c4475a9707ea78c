package document

import (
	"fmt"
	"regexp"
	"strings"
)

// Shell returns words as a shell takes them.
func Shell(words ...string) string {
	var out []string
	for _, w := range words {
		out = append(out, shellQuote(w))
	}
	return strings.Join(out, " ")
}

// shellQuote returns a word that a shell reads as this text.
func shellQuote(s string) string {
	if unquoted.MatchString(s) {
		return s
	}
	if Printable(s) == s {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var out strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			fmt.Fprintf(&out, `\%03o`, c)
		} else {
			out.WriteByte(c)
		}
	}
	return "$'" + out.String() + "'"
}

var unquoted = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

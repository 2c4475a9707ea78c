package ascii

import (
	"strings"
	"unicode/utf8"
)

// Quote is ascii.Quote without its tables of Unicode: what could hide or turn the text around it is escaped, other
// characters beyond ASCII stand as they are.
func Quote(s string) string {
	const escaped, letters = "\a\b\f\n\r\t\v\"\\", "abfnrtv\"\\"
	b := []byte{'"'}
	for i, r := range s {
		kind, digits := byte('x'), 2
		switch named := strings.IndexByte(escaped, s[i]); {
		case named >= 0:
			kind, digits = letters[named], 0
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			r = rune(s[i]) // which is not UTF-8
		case prints(r):
			b = utf8.AppendRune(b, r)
			continue
		case r >= 0x10000:
			kind, digits = 'U', 8
		case r >= 0x80:
			kind, digits = 'u', 4
		}
		b = append(b, '\\', kind)
		for ; digits > 0; digits-- {
			b = append(b, "0123456789abcdef"[r>>(4*digits-4)&0xf])
		}
	}
	return string(append(b, '"'))
}

// prints reports whether a character has ink: it is none of controls, blanks, marks of direction, those for private use
// and those that are none.
func prints(r rune) bool {
	switch {
	case r <= 0xa0, r == 0xad:
		return ' ' <= r && r < 0x7f
	case r >= 0x2000 && r <= 0x206f:
		return r >= 0x2010 && r <= 0x2027 || r >= 0x2030 && r <= 0x205e
	case r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0 && r != utf8.RuneError && r < 0x10000, r >= 0xe0000:
		return false
	}
	return r != 0x61c && r != 0x1680 && r != 0x180e && r != 0x3000 && r != 0xfeff
}

// Package ascii changes the case of names, trims blanks, cuts and shortens texts in HTTP's alphabet. Package strings
// has more code for it, or does that for all of Unicode, which would be wrong here: its lower case of the Kelvin sign
// U+212A is "k", for which Envoy and load balancers would not take it.
package ascii

// Lower returns s with A to Z in lower case. It allocates only if there are any.
func Lower(s string) string { return shift(s, 'A', 'Z') }

// Upper returns s with a to z in upper case. It allocates only if there are any.
func Upper(s string) string { return shift(s, 'a', 'z') }

// shift changes the case of the letters from first to last; the cases of a letter differ in one bit.
func shift(s string, first, last byte) string {
	for i := range len(s) {
		if first <= s[i] && s[i] <= last {
			b := []byte(s)
			for ; i < len(b); i++ {
				if first <= b[i] && b[i] <= last {
					b[i] ^= 'a' ^ 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// TrimSpace returns s without the blanks, tabs and line ends around it.
func TrimSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// Shorten returns a text of at most so many bytes: s, or its beginning and an ellipsis. It cuts no character in two.
func Shorten(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	const ellipsis = "…"
	end := bytes - len(ellipsis)
	for end > 0 && s[end]&0xc0 == 0x80 { // within a character of UTF-8
		end--
	}
	return s[:end] + ellipsis
}

// Cut is strings.Cut for texts that are so short that a search in the simplest way is as fast.
func Cut(s, sep string) (before, after string, found bool) {
	for i := 0; i+len(sep) <= len(s); i++ {
		if s[i:i+len(sep)] == sep {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// Contains is strings.Contains, likewise.
func Contains(s, part string) bool {
	_, _, found := Cut(s, part)
	return found
}

// Join is strings.Join for a few short texts.
func Join(texts []string, sep string) (all string) {
	for i, s := range texts {
		if i > 0 {
			all += sep
		}
		all += s
	}
	return all
}

// Number reads a number that has nothing but digits. One above 4294967295 counts as that.
func Number(s string) (n uint32, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = uint32(min(uint64(n)*10+uint64(s[i]-'0'), 1<<32-1))
	}
	return n, s != ""
}

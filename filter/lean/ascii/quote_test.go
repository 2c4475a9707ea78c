package ascii

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
)

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "\a\b\f\n\r\t\v\"\\'\x00\x7f", "Straße", "東京", "\ufffd",
		"\xff\xef\xbf", "a\u202eb", "\U0010ffff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := Quote(s)
		if back, err := strconv.Unquote(quoted); err != nil || back != s {
			t.Errorf("%q became %s, which is %q, %v", s, quoted, back, err)
		}
	})
}

func TestQuoteLikeStrconv(t *testing.T) {
	t.Parallel()
	tables := []*unicode.RangeTable{unicode.Letter, unicode.Mark, unicode.Number, unicode.Punct, unicode.Symbol}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		s := "a" + string(r) + "b"
		hides := unicode.In(r, unicode.Cc, unicode.Co, unicode.Z, unicode.Bidi_Control)
		ink := unicode.In(r, tables...) && !strings.ContainsRune("\u1680\u180b\u180e\u3164\ufffc", r)
		if got, want := Quote(s), strconv.Quote(s); (r < 0x180 || hides || ink && r < 0xe0000) && got != want {
			t.Fatalf("%U: %s, not %s", r, got, want)
		}
	}
}

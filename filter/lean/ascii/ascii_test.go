package ascii

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOutsideASCII(t *testing.T) {
	t.Parallel()
	const s = "\u212aÄß\u00a0\xff"
	if Lower(s) != s || Upper(s) != s || TrimSpace(s) != s {
		t.Errorf("%q became %q, %q, %q", s, Lower(s), Upper(s), TrimSpace(s))
	}
}

func FuzzASCII(f *testing.F) {
	for _, s := range []string{"", "a", "Z", "User-Agent", "@[`{", " \t\r\n\v\fa b \n", "\x00 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for i := range len(s) {
			if s[i] >= utf8.RuneSelf {
				t.Skip("package strings knows more letters and blanks")
			}
		}
		for name, got := range map[string][2]string{
			"Lower":     {Lower(s), strings.ToLower(s)},
			"Upper":     {Upper(s), strings.ToUpper(s)},
			"TrimSpace": {TrimSpace(s), strings.TrimSpace(s)},
		} {
			if got[0] != got[1] {
				t.Errorf("%s(%q) = %q, want %q", name, s, got[0], got[1])
			}
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "ab", "abc", "aab", "ü=ü", "=", "a=b=c"} {
		for _, sep := range []string{"", "a", "ab", "=", "bc", "abcd", "ü"} {
			before, after, found := Cut(s, sep)
			wantBefore, wantAfter, want := strings.Cut(s, sep)
			if before != wantBefore || after != wantAfter || found != want || Contains(s, sep) != want {
				t.Errorf("%q at %q: %q, %q, %v", s, sep, before, after, found)
			}
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{nil, {""}, {"a"}, {"a", "b"}, {"", "ü", ""}} {
		if got := Join(texts, ", "); got != strings.Join(texts, ", ") {
			t.Errorf("%q became %q", texts, got)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "0", "007", "65535", "4294967294", "4294967295", "4294967296", "18446744073709551616",
		"99999999999999999999999", "-1", "+1", "1.0", "1e2", "0x1", "1_0", " 1", "1 ", "a", "٣"} {
		want, err := strconv.ParseUint(s, 10, 64)
		if large := err != nil && want == math.MaxUint64; large {
			err = nil
		}
		if n, ok := Number(s); ok != (err == nil) || ok && uint64(n) != min(want, math.MaxUint32) {
			t.Errorf("%q: %d, %v", s, n, ok)
		}
	}
}

package pairs

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, fields := range [][]headers.Field{
		{}, {{Name: "a", Value: "1"}}, {{Name: "", Value: ""}, {Name: "b", Value: "\x00"}},
		slices.Repeat([]headers.Field{{Name: "n", Value: "v"}}, MaxCount),
	} {
		if got := Decode(Encode(fields)); !slices.Equal(got, fields) {
			t.Errorf("%v became %v", fields, got)
		}
	}
	want := []byte("\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00a\x00bc\x00\x00\x00")
	if got := Encode([]headers.Field{{Name: "a", Value: "bc"}, {}}); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestMalformed are inputs that read as no pairs at all.
func TestMalformed(t *testing.T) {
	t.Parallel()
	good := string(Encode([]headers.Field{{Name: "a", Value: "1"}}))
	for name, in := range map[string]string{
		"nothing":           "",
		"half a count":      "\x01\x00",
		"no sizes":          "\x01\x00\x00\x00",
		"cut off":           good[:len(good)-1],
		"too long":          good + "x",
		"no NUL":            good[:len(good)-1] + "x",
		"a huge size":       strings.Replace(good, "\x01\x00\x00\x00a", "\xff\xff\xff\xffa", 1),
		"a huge count":      "\xff\xff\xff\xff" + good[4:],
		"too many":          string(Encode(slices.Repeat([]headers.Field{{}}, MaxCount+1))),
		"more than a MiB":   string(Encode([]headers.Field{{Value: strings.Repeat("x", MaxBytes)}})),
		"a count too large": "\x02" + good[1:],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Decode([]byte(in)); len(got) != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode([]headers.Field{{Name: "a", Value: "1"}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		if fields := Decode(in); len(fields) > 0 && !bytes.Equal(Encode(fields), in) {
			t.Errorf("%q became %v", in, fields)
		}
	})
}

package host

import "testing"

func TestHeaders(t *testing.T) {
	t.Parallel()
	const want = "\x02\x00\x00\x00" + "\x01\x00\x00\x00\x03\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"a\x00xyz\x00" + "bc\x00\x00"
	h := EncodeHeaders([][2]string{{"a", "xyz"}, {"bc", ""}})
	if string(h) != want {
		t.Errorf("%q, want %q", h, want)
	}
	for _, tt := range []struct {
		name, value string
		found       bool
	}{{"a", "xyz", true}, {"bc", "", true}, {"b", "", false}, {"xyz", "", false}, {"", "", false}} {
		if value, found := h.Get(tt.name); value != tt.value || found != tt.found {
			t.Errorf("Get(%q) = %q, %v; want %q, %v", tt.name, value, found, tt.value, tt.found)
		}
	}
	repeated := EncodeHeaders([][2]string{{":path", "/"}, {"a", "1"}, {"b", ""}, {"a", "2"}, {"aa", "x"}, {"b", ""},
		{"a", "3"}, {":path", "/b"}})
	for name, want := range map[string]string{"a": "1,2,3", "b": ",", "aa": "x", ":path": "/"} {
		if value, found := repeated.Get(name); value != want || !found {
			t.Errorf("repeated: Get(%q) = %q, %v; want %q", name, value, found, want)
		}
	}
	if got := string(EncodeHeaders(nil)); got != "\x00\x00\x00\x00" {
		t.Errorf("no headers: %q", got)
	}
	if value, found := Headers(nil).Get("a"); found {
		t.Errorf("found %q in nothing", value)
	}
}

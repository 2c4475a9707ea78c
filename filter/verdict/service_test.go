package verdict

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

// TestService: each body has one status, whatever it holds, and no body makes the plugin trap.
func TestService(t *testing.T) {
	longest := strings.Repeat("x", config.MaxService)
	e := &config.Endpoint{Services: []string{"a", longest}}
	for _, test := range []struct {
		name, body string
		want       int32
	}{
		{"no name", "\x00\x00\x00\x00\x00", Named},
		{"an empty name", "\x00\x00\x00\x00\x02\x0a\x00", Named},
		{"a named one", "\x00\x00\x00\x00\x03\x0a\x01a", Named},
		{"the longest", "\x00\x00\x00\x00\x81\x0a\x7f" + longest, Named},
		{"another", "\x00\x00\x00\x00\x03\x0a\x01b", notFound},
		{"a longer one", "\x00\x00\x00\x00\x04\x0a\x02aa", notFound},
		{"one byte too much", "\x00\x00\x00\x00\x82\x0a\x80" + longest + "x", tooLarge},
		{"no body", "", Unimplemented},
		{"compressed", "\x01\x00\x00\x00\x00", Unimplemented},
		{"two messages", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", Unimplemented},
		{"no whole frame", "\x00\x00\x00\x00", malformed},
		{"a message that is cut", "\x00\x00\x00\x00\x03\x0a\x01", malformed},
		{"a length beyond all bodies", "\x00\x00\x00\x01\x00", malformed},
		{"a field without a length", "\x00\x00\x00\x00\x01\x0a", malformed},
		{"a name that is cut", "\x00\x00\x00\x00\x03\x0a\x02a", malformed},
		{"a field behind the name", "\x00\x00\x00\x00\x05\x0a\x01a\x10\x01", malformed},
		{"another field", "\x00\x00\x00\x00\x02\x10\x01", malformed},
	} {
		if got := Service(e, []byte(test.body)); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

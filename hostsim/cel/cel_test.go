package cel

import (
	"reflect"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// tree is attributes that are all known.
type tree map[string]any

func (t tree) Get(name string) (any, bool) {
	value, found := t[name]
	return value, found
}

func (t tree) Names() []string {
	var names []string
	for name := range t {
		names = append(names, name)
	}
	return names
}

// What Envoy makes of the values is compared in e2e/conformance.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	headers := tree{":path": "/shop", "x": "1"}
	stream := tree{"request": tree{"path": "/shop", "size": int64(3), "headers": headers}}
	for text, want := range map[string]any{
		`request.path + '!'`:                       "/shop!",
		`request.size * 2`:                         int64(6),
		`request.headers`:                          headers,
		`request.headers.x == '1'`:                 true,
		`'y' in request.headers`:                   false,
		`size(request.headers)`:                    int64(2),
		`request.headers.exists(h, h == 'x')`:      true,
		`[request.size, 1.5, 2u, b'x', null]`:      []any{int64(3), 1.5, uint64(2), "x", nil},
		`{'a': duration('90s')}`:                   map[string]any{"a": 90 * time.Second},
		`timestamp('2026-01-02T03:04:05Z')`:        time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		`{true: 'a'}`:                              map[string]any{"\x01": "a"},
		`has(request.nothing) ? 'there' : 'not'`:   "not",
		`request.path.matches('^/sh') ? 1u : 2u`:   uint64(1),
		`request.headers['x'] + request['path']`:   "1/shop",
		`request.size > 2 && request.path != '/x'`: true,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			e, err := Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Evaluate(stream); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%#v, %v; want %#v", got, err, want)
			}
		})
	}
	for _, text := range []string{"request.nothing", "nothing", "1 / 0", "request.path + 1", "request[1]"} {
		e, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := e.Evaluate(stream); err == nil {
			t.Errorf("%s is %#v, want an error", text, got)
		}
	}
	for _, text := range []string{"", "1 +", "no_such_function(1)"} {
		if _, err := Compile(text); err == nil {
			t.Errorf("%q was compiled", text)
		}
	}
}

var _ hostsim.Attributes = tree{}

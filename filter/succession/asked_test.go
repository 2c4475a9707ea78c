package succession

import (
	"slices"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// family has the configurations with these numbers.
type family []uint64

func (f family) Has(config uint64) bool { return slices.Contains(f, config) }

func TestReplaced(t *testing.T) {
	t.Parallel()
	there := func(c uint64) Check { return Check{Config: c} }
	check := func(config, address, connection uint64) Check { return Check{config, address, connection} }
	for _, test := range []struct {
		name  string
		seen  []Check // one each second
		by    family
		wants []uint64 // of 1 to 3, those that are replaced
	}{
		{"alone", []Check{there(1), check(1, 80, 1)}, nil, nil},
		{"an update that was not asked yet", []Check{there(1), check(1, 80, 1), there(2)}, family{1, 2}, nil},
		{"an update", []Check{there(1), check(1, 80, 1), there(2), check(2, 80, 2)}, family{1, 2}, []uint64{1}},
		{"a connection that is kept", []Check{check(1, 80, 1), check(2, 80, 2), check(1, 80, 1)}, family{1, 2}, []uint64{1}},
		{"one that comes back", []Check{check(1, 80, 1), check(2, 80, 2), check(1, 80, 3)}, family{1, 2}, []uint64{2}},
		{"a second listener", []Check{check(1, 80, 1), check(2, 443, 2), check(1, 80, 1)}, family{1, 2}, nil},
		{"a second listener that was never asked", []Check{there(1), check(1, 80, 1), there(2)}, family{1, 2}, nil},
		{"one of two addresses", []Check{check(1, 80, 1), check(1, 81, 2), check(2, 80, 3)}, family{1, 2}, nil},
		{"both addresses", []Check{check(1, 80, 1), check(1, 81, 2), check(2, 80, 3), check(2, 81, 4)}, family{1, 2},
			[]uint64{1}},
		{"one never asked between two", []Check{check(1, 80, 1), there(2), there(3), check(3, 80, 2)}, family{1, 2, 3},
			[]uint64{1, 2}},
		{"another plugin's", []Check{check(1, 80, 1), check(2, 80, 2)}, family{1}, nil},
		{"connections without numbers", []Check{check(1, 0, 0), check(2, 0, 0)}, family{1, 2}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a Asked
			for i, c := range test.seen {
				at := now + int64(i)*int64(duration.Second)
				if noted := a.Note(c, c.Address != 0 || test.name == "connections without numbers", at, at); noted != nil {
					a = noted
				}
			}
			var got []uint64
			for c := uint64(1); c <= 3; c++ {
				if born, _ := a.Of(c); born != 0 && a.Replaced(c, born, test.by) {
					got = append(got, c)
				}
			}
			if !slices.Equal(got, test.wants) {
				t.Errorf("replaced are %v, want %v", got, test.wants)
			}
		})
	}
}

func TestNote(t *testing.T) {
	t.Parallel()
	var a Asked
	second := int64(duration.Second)
	note := func(c Check, check bool, at int64, news bool) {
		t.Helper()
		noted := a.Note(c, check, at, at)
		if (noted != nil) != news {
			t.Errorf("%v at %v: news is %v", c, at-now, !news)
		}
		if noted != nil {
			a = noted
		}
	}
	note(Check{Config: 1}, false, now, true)
	note(Check{Config: 1}, false, now+1, false)
	note(Check{1, 80, 5}, true, now+second, true)
	note(Check{1, 80, 5}, true, now+2*second-1, false)
	note(Check{1, 80, 4}, true, now+2*second-1, false)
	note(Check{1, 80, 6}, true, now+2*second-1, true)
	note(Check{1, 80, 4}, true, now+3*second, true)
	note(Check{1, 80, 4}, true, now, true) // the clock went back
	if born, asked := a.Of(1); born != now || asked != now || len(a) != size || a.entry(0).Connection != 6 {
		t.Errorf("%+v", a.entry(0))
	}
	for c := range uint64(2 * most) {
		note(Check{Config: c + 2}, false, now+int64(c), true)
	}
	if born, _ := a.Of(1); len(a) != most*size || born != 0 {
		t.Errorf("%d bytes", len(a))
	}
	if a[:len(a)-1].Replaced(7, now, family{}) {
		t.Error("a form that was cut")
	}
}

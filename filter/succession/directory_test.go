package succession

import (
	"slices"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

const second = int64(duration.Second)

// sight is what a VM has seen: a check or, without an address, that it has the configuration.
type sight struct {
	config uint64
	Check
}

func there(config uint64) sight                { return sight{config, Check{}} }
func check(config, address, conn uint64) sight { return sight{config, Check{address, conn}} }
func (d Directory) after(s sight, at int64) Directory {
	return d.Note(nil, one(s.config), s.Check, s.Address != 0, at, at)
}

// one is a configuration of the plugin with the name 1; from 10 on, of another plugin. Odd and even ones differ in
// state.
func one(config uint64) Identity {
	return Identity{Config: config, Name: 1 + config/10, State: config % 2}
}

func TestReplaced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		seen  []sight  // one each second
		wants []uint64 // of 1 to 3, those that are replaced
	}{
		{"alone", []sight{there(1), check(1, 80, 1)}, nil},
		{"an update that was not asked yet", []sight{there(1), check(1, 80, 1), there(2)}, nil},
		{"an update", []sight{there(1), check(1, 80, 1), there(2), check(2, 80, 2)}, []uint64{1}},
		{"a connection that is kept", []sight{check(1, 80, 1), check(2, 80, 2), check(1, 80, 1)}, []uint64{1}},
		{"one that comes back", []sight{check(1, 80, 1), check(2, 80, 2), check(1, 80, 3)}, []uint64{2}},
		{"a second listener", []sight{check(1, 80, 1), check(2, 443, 2), check(1, 80, 1)}, nil},
		{"a second listener that was never asked", []sight{there(1), check(1, 80, 1), there(2)}, nil},
		{"one of two addresses", []sight{check(1, 80, 1), check(1, 81, 2), check(2, 80, 3)}, nil},
		{"both addresses", []sight{check(1, 80, 1), check(1, 81, 2), check(2, 80, 3), check(2, 81, 4)}, []uint64{1}},
		{"one never asked between two", []sight{check(1, 80, 1), there(2), there(3), check(3, 80, 2)}, []uint64{1, 2}},
		{"another plugin's", []sight{check(1, 80, 1), there(2), check(11, 80, 2)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var d Directory
			for i, s := range test.seen {
				if noted := d.after(s, now+int64(i)*second); noted != nil {
					d = noted
				}
			}
			var got []uint64
			for c := uint64(1); c <= 3; c++ {
				if born, _ := d.Of(c); born != 0 && d.Replaced(one(c), born) {
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
	var d Directory
	for _, test := range []struct {
		name string
		sight
		at   int64
		news bool
	}{
		{"the first", there(1), now, true},
		{"again", there(1), now + 1, false},
		{"a check", check(1, 80, 5), now + second, true},
		{"one more", check(1, 80, 5), now + 2*second - 1, false},
		{"on an older connection", check(1, 80, 4), now + 2*second - 1, false},
		{"on a newer one", check(1, 80, 6), now + 2*second - 1, true},
		{"later", check(1, 80, 4), now + 3*second, true},
		{"still there", there(1), now + 5*second - 1, false},
		{"still there after two seconds", there(1), now + 5*second, true},
		{"at another address", check(1, 81, 2), now + 5*second, true},
		{"still there, at both", there(1), now + 7*second, true},
		{"after the clock went back", check(1, 80, 4), now, true},
	} {
		noted := d.after(test.sight, test.at)
		if (noted != nil) != test.news {
			t.Errorf("%s: news is %v", test.name, !test.news)
		}
		if noted != nil {
			d = noted
		}
	}
	want := []Entry{{one(1), Check{80, 6}, now, now, now}, {one(1), Check{81, 2}, now, now, now + 5*second}}
	if d.Len() != 2 || d.At(0) != want[0] || d.At(1) != want[1] {
		t.Errorf("%+v and %+v, want %+v", d.At(0), d.At(1), want)
	}
}

func TestNoteKeepsTheLast(t *testing.T) {
	t.Parallel()
	var d Directory
	for c := range uint64(2 * most) {
		d = d.after(there(c), now+int64(c))
	}
	if d.Len() != most || d.At(0).Config != 2*most-1 || d.At(most-1).Config != most {
		t.Errorf("%d entries, the first %+v, the last %+v", d.Len(), d.At(0), d.At(most-1))
	}
	d = d.after(there(most), now+second*3)
	if d.Len() != most || d.At(0).Config != most || d.At(1).Config != 2*most-1 {
		t.Errorf("%d entries, the first %+v, then %+v", d.Len(), d.At(0), d.At(1))
	}
	if cut := d[:len(d)-1]; cut.Len() != most-1 {
		t.Error("a form that was cut")
	}
}

// What two configurations with one state tell is told as long as one of them is current.
func TestTells(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		seen []sight
		age  int64 // of the last sight
		want bool  // of 3
	}{
		{"one of the same state", []sight{check(3, 80, 1), check(1, 80, 2)}, 0, true},
		{"that is lost", []sight{check(3, 80, 1), check(1, 80, 2)}, lost + 1, false},
		{"one of another", []sight{check(3, 80, 1), check(2, 80, 2)}, 0, false},
		{"another plugin's", []sight{check(3, 80, 1), check(2, 80, 2), check(11, 80, 3)}, 0, false},
	} {
		var d Directory
		for i, s := range test.seen {
			d = d.after(s, now+int64(i)*second)
		}
		if got := d.Tells(one(3), now+int64(len(test.seen)-1)*second+test.age); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

package timeline

import (
	"slices"
	"testing"
	"time"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	tl := New(time.Unix(0, 0))
	var got []string
	add := func(name string, d time.Duration) *Event {
		return tl.After(d, nil, func() { got = append(got, name) })
	}
	add("c", 2)
	add("a", 1)
	gone := add("gone", 1)
	add("b", 1)
	add("late", 10)
	add("past", -5)
	tl.Cancel(gone)
	tl.Cancel(gone)
	tl.Cancel(nil)
	for {
		e, ok := tl.Pop(5)
		if !ok {
			break
		}
		e.Run()
		tl.Cancel(e)
	}
	if !slices.Equal(got, []string{"past", "a", "b", "c"}) {
		t.Error(got)
	}
	if tl.Elapsed() != 2 {
		t.Error(tl.Elapsed())
	}
	if next, ok := tl.Next(); next != 10 || !ok {
		t.Error(next, ok)
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(1000, 0)
	tl := New(epoch)
	mono := tl.Monotonic()
	tl.Spend(time.Second)
	tl.MoveTo(0)
	tl.JumpRealtime(-time.Hour)
	tl.JumpMonotonic(time.Minute)
	if got := tl.Realtime().Sub(epoch); got != time.Second-time.Hour {
		t.Error(got)
	}
	if got := time.Duration(tl.Monotonic() - mono); got != time.Second+time.Minute {
		t.Error(got)
	}
	if tl.Elapsed() != time.Second {
		t.Error(tl.Elapsed())
	}
}

func TestPostpone(t *testing.T) {
	t.Parallel()
	tl := New(time.Unix(0, 0))
	var got []int
	tl.After(1, "thread", func() { got = append(got, 1) })
	tl.After(3, "thread", func() { got = append(got, 2) })
	e, _ := tl.Pop(1)
	if e.Owner() != "thread" || e.At() != 1 {
		t.Error(e.Owner(), e.At())
	}
	tl.Postpone(e, 3)
	for e, ok := tl.Pop(3); ok; e, ok = tl.Pop(3) {
		e.Run()
	}
	if !slices.Equal(got, []int{1, 2}) {
		t.Error(got)
	}
	forever := tl.After(1<<63-1, nil, func() {})
	if forever.At() < 0 {
		t.Error("adding overflowed")
	}
}

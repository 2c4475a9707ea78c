package sharedqueue

import (
	"errors"
	"testing"
)

func TestQueues(t *testing.T) {
	t.Parallel()
	var q Queues
	var told []string
	registrant := func(name string) func(uint32) { return func(uint32) { told = append(told, name) } }
	if _, err := q.Resolve("vm", "q"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for _, token := range []uint32{0, 1, 1 << 31} {
		if _, err := q.Dequeue(token); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := q.Enqueue(token, "x"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	one := q.Register("vm", "q", registrant("first"))
	two := q.Register("vm", "r", registrant("r"))
	if err := q.Enqueue(one, "a"); err != nil {
		t.Error(err)
	}
	if again := q.Register("vm", "q", registrant("second")); one != 1 || two != 2 || again != 1 {
		t.Error(one, two, again)
	}
	q.Enqueue(one, "b")
	if len(told) != 2 || told[0] != "first" || told[1] != "second" {
		t.Error(told)
	}
	for _, want := range []string{"a", "b"} {
		if got, err := q.Dequeue(one); got != want || err != nil {
			t.Error(got, err)
		}
	}
	if _, err := q.Dequeue(one); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// Package sharedqueue holds the message queues that VMs share (proxy-wasm-cpp-host src/shared_queue.cc).
package sharedqueue

import (
	"errors"
	"sync"
)

// Errors of the queues; they are the WasmResult codes NotFound and Empty.
var (
	ErrNotFound = errors.New("not found")
	ErrEmpty    = errors.New("empty")
)

// Queues holds all queues of a process. It is safe for concurrent use.
type Queues struct {
	mu     sync.Mutex
	tokens map[key]uint32
	queues []*queue // token t is queues[t-1]
}

type key struct{ vmID, name string }

type queue struct {
	ready func(token uint32)
	items []string
}

// Register returns the token of the queue name of vmID, creating it on first use; tokens start at 1. Only the last
// registrant is told of new items, by ready. Items that are waiting stay.
func (q *Queues) Register(vmID, name string, ready func(token uint32)) uint32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := key{vmID, name}
	t, ok := q.tokens[k]
	if !ok {
		if q.tokens == nil {
			q.tokens = make(map[key]uint32)
		}
		q.queues = append(q.queues, &queue{})
		t = uint32(len(q.queues))
		q.tokens[k] = t
	}
	q.queues[t-1].ready = ready
	return t
}

// Resolve returns the token of a queue that exists; tokens are never 0.
func (q *Queues) Resolve(vmID, name string) (uint32, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, ok := q.tokens[key{vmID, name}]
	if !ok {
		return 0, ErrNotFound
	}
	return t, nil
}

// Enqueue appends value and tells the queue's registrant.
func (q *Queues) Enqueue(token uint32, value string) error {
	q.mu.Lock()
	if token == 0 || uint64(token) > uint64(len(q.queues)) {
		q.mu.Unlock()
		return ErrNotFound
	}
	qq := q.queues[token-1]
	qq.items = append(qq.items, value)
	ready := qq.ready
	q.mu.Unlock()
	ready(token)
	return nil
}

// Dequeue takes the oldest item. A token that does not exist is ErrNotFound, a drained queue ErrEmpty.
func (q *Queues) Dequeue(token uint32) (string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if token == 0 || uint64(token) > uint64(len(q.queues)) {
		return "", ErrNotFound
	}
	qq := q.queues[token-1]
	if len(qq.items) == 0 {
		return "", ErrEmpty
	}
	v := qq.items[0]
	qq.items = qq.items[1:]
	return v, nil
}

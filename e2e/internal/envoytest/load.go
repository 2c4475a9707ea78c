package envoytest

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Load is clients that ask again and again. It remembers when they saw which answer.
type Load struct {
	Stop func() // ends it, as the end of the test does
	mu   sync.Mutex
	seen map[string]Sighting
}

// Sighting is the first and the last time of an answer.
type Sighting struct {
	First, Last time.Time
	Times       int
}

func (s Sighting) String() string { return strconv.Itoa(s.Times) }

// StartLoad has each client ask no sooner than a pause after it asked last. A client returns the answer that it got, or
// "" for one that does not count.
func StartLoad(t testing.TB, pause time.Duration, clients ...func() string) *Load {
	l := &Load{seen: map[string]Sighting{}}
	var stops []func()
	for _, ask := range clients {
		stops = append(stops, Repeat(t, pause, func() { l.note(ask()) }))
	}
	l.Stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	return l
}

func (l *Load) note(answer string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if answer == "" {
		return
	}
	s := l.seen[answer]
	if s.Times == 0 {
		s.First = now
	}
	s.Last = now
	s.Times++
	l.seen[answer] = s
}

// Reset forgets what was seen.
func (l *Load) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.seen)
}

// Seen returns what was seen since the last reset.
func (l *Load) Seen() map[string]Sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.seen)
}

// Saw ends the load and fails the test unless it saw some answers, each of them one of those.
func (l *Load) Saw(t testing.TB, answers ...string) {
	t.Helper()
	Eventually(t, Limit, "an answer", func() error {
		if len(l.Seen()) == 0 {
			return errors.New("nothing answered")
		}
		return nil
	})
	l.Stop()
	seen := l.Seen()
	t.Logf("meanwhile, requests were answered %v", seen)
	for text, n := range seen {
		if !slices.Contains(answers, text) {
			t.Errorf("meanwhile, %v requests were answered %q, want only %q", n, text, answers)
		}
	}
}

// Users has users send ordinary requests until the test ends, which fails unless each of them got the application.
func Users(t testing.TB, pause time.Duration, clients ...func() (Answer, error)) *Load {
	t.Helper()
	asks := make([]func() string, len(clients))
	for i, ask := range clients {
		asks[i] = func() string {
			a, err := ask()
			if err != nil {
				return err.Error()
			}
			return a.Said()
		}
	}
	l := StartLoad(t, pause, asks...)
	t.Cleanup(func() { l.Saw(t, Served) })
	return l
}

// Users ask for a path that is no endpoint's, and this is what they get.
const (
	UsersPath = "/shop"
	Served    = "200 app " + UsersPath
)

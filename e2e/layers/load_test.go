package layers

import (
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const (
	check = "/my-service/healthcheck" // the endpoint of envoy/bootstrap.yaml that has maintenance
	sorry = "503 Under maintenance. Remove maintenance file when complete"
	fine  = "200 OK"
)

// get uses a connection of its own, so that every worker gets some.
func get(url string) (string, error) {
	r, err := envoytest.Client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	return fmt.Sprintf("%d %s", r.StatusCode, body), err
}

// load asks again and again until it is stopped, from several clients at once, and remembers when it saw which answer.
type load struct {
	stop func()
	mu   sync.Mutex
	seen map[string]sighting
	err  error
}

// sighting is the first and the last time of an answer, since the last reset.
type sighting struct {
	first, last time.Time
	times       int
}

func startLoad(t *testing.T, url string, clients int, pause time.Duration) *load {
	l := &load{seen: map[string]sighting{}}
	var stops []func()
	for range clients {
		stops = append(stops, envoytest.Repeat(t, pause, func() { l.note(get(url)) }))
	}
	l.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	return l
}

func (l *load) note(answer string, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = err
		return
	}
	s := l.seen[answer]
	if s.times == 0 {
		s.first = now
	}
	s.last = now
	s.times++
	l.seen[answer] = s
}

// reset forgets what was seen.
func (l *load) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = map[string]sighting{}
}

// answers returns what was seen since the last reset, and any request's failure.
func (l *load) answers() (map[string]sighting, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]sighting{}
	maps.Copy(out, l.seen)
	return out, l.err
}

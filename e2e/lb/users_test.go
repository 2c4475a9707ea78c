package lb

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// users send requests through HAProxy until they are stopped, each through a connection that stays open.
type users struct {
	stop   func()
	mu     sync.Mutex
	served int
	failed []string
}

func startUsers(t *testing.T, number int, h *haproxy) *users {
	u := &users{}
	url := "http://" + envoytest.Loopback(h.port) + "/shop"
	var stops []func()
	for range number {
		client := &http.Client{Timeout: envoytest.Limit, Transport: &http.Transport{}}
		t.Cleanup(client.CloseIdleConnections)
		stops = append(stops, envoytest.Repeat(t, 10*time.Millisecond, func() { u.note(visit(client, url)) }))
	}
	u.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	return u
}

func visit(c *http.Client, url string) error {
	r, err := c.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || string(body) != "app /shop") {
		err = fmt.Errorf("%s %q", r.Status, body)
	}
	return err
}

func (u *users) note(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.served++
	if err != nil {
		u.failed = append(u.failed, err.Error())
	}
}

func (u *users) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.served
}

// more waits until so many more requests have been answered.
func (u *users) more(t *testing.T, n int) {
	t.Helper()
	from := u.count()
	envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("%d more requests", n), func() error {
		if got := u.count() - from; got < n {
			return fmt.Errorf("%d came", got)
		}
		return nil
	})
}

// noneFailed ends the users and fails the test if a single request failed.
func (u *users) noneFailed(t *testing.T) {
	t.Helper()
	u.stop()
	t.Logf("%d requests, %d failed", u.served, len(u.failed))
	if len(u.failed) > 0 {
		t.Errorf("of %d requests %d failed, the first: %s", u.served, len(u.failed), u.failed[0])
	}
	if u.served == 0 {
		t.Error("there were no requests")
	}
}

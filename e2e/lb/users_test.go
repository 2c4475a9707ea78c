package lb

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// users send requests through HAProxy, each through a connection that stays open. Not one may fail; the test has to end
// them before its nodes end.
type users struct{ *envoytest.Load }

func startUsers(t *testing.T, number int, h *haproxy) *users {
	t.Helper()
	url := "http://" + envoytest.Loopback(h.port) + envoytest.UsersPath
	var clients []func() (envoytest.Answer, error)
	for range number {
		client := envoytest.ClientFrom("127.0.0.1", true)
		t.Cleanup(client.CloseIdleConnections)
		clients = append(clients, func() (envoytest.Answer, error) { return envoytest.Read(client.Get(url)) })
	}
	return &users{envoytest.Users(t, 10*time.Millisecond, clients...)}
}

// more waits until so many more requests have been answered.
func (u *users) more(t *testing.T, n int) {
	t.Helper()
	served := func() int { return u.Seen()[envoytest.Served].Times }
	from := served()
	envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("%d more requests", n), func() error {
		if got := served() - from; got < n {
			return fmt.Errorf("%d came, and in all %v", got, u.Seen())
		}
		return nil
	})
}

package lb

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// node is an Envoy and the application behind it.
type node struct {
	app     *app.App
	config  *envoytest.Config
	envoy   *envoytest.Envoy
	address string
}

func startNode(t *testing.T) *node {
	t.Helper()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	return &node{a, c, envoytest.Start(t, c, 2), c.Listener("ingress").Address()}
}

// restart ends the Envoy and starts it again: an upgrade.
func (n *node) restart(t *testing.T) {
	t.Helper()
	n.envoy.Stop()
	n.envoy = envoytest.Start(t, n.config, 2)
}

func (n *node) visits() int { return n.app.Count(envoytest.UsersPath) }

// site is two nodes behind an HAProxy, and users who come all the time.
func site(t *testing.T) (a, b *node, h *haproxy, u *users) {
	a, b = startNode(t), startNode(t)
	h = startHAProxy(t, a, b)
	h.waits(t, "UP", "UP")
	return a, b, h, startUsers(t, 16, h)
}

// TestMaintenance takes one node out and back. Users do not notice, not even the one whose request runs on it.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	a, b, h, u := site(t)
	u.more(t, 200)
	if a.visits() == 0 || b.visits() == 0 {
		t.Fatalf("before maintenance the nodes saw %d and %d requests", a.visits(), b.visits())
	}

	const slow = "/slow"
	releaseA, releaseB := a.app.Hold(slow), b.app.Hold(slow)
	running := make(chan error, 2)
	for range 2 { // one for each node, by turns
		go func() {
			r, err := envoytest.Read(envoytest.Client.Get("http://" + envoytest.Loopback(h.port) + slow))
			running <- errors.Join(err, r.Says(http.StatusOK, "app "+slow))
		}()
	}
	envoytest.Eventually(t, envoytest.Limit, "slow requests run", func() error {
		if got := a.app.Count(slow) + b.app.Count(slow); got != 2 {
			return fmt.Errorf("%d of 2", got)
		}
		return nil
	})

	a.config.SetMaintenance(true, "healthgate.maintenance")
	h.waits(t, "DOWN", "UP")
	h.runs(t, "envoy1", a.app.Count(slow)) // the others that HAProxy had already sent are over
	before, other := a.visits(), b.visits()
	u.more(t, 300)
	if got := a.visits() - before; got != 0 {
		t.Errorf("a node in maintenance got %d more requests", got)
	}
	if b.visits() == other {
		t.Error("no node got the requests")
	}
	releaseA()
	releaseB()
	for range 2 {
		if err := <-running; err != nil {
			t.Errorf("a request that ran when maintenance began: %v", err)
		}
	}

	a.config.SetMaintenance(false, "healthgate.maintenance")
	h.waits(t, "UP", "UP")
	before = a.visits()
	u.more(t, 200)
	if a.visits() == before {
		t.Error("the node that came back gets no requests")
	}
	u.Saw(t, envoytest.Served)
}

// TestRollingPass takes both nodes out, one after the other, and restarts each while it is out.
func TestRollingPass(t *testing.T) {
	t.Parallel()
	a, b, h, u := site(t)
	for _, turn := range []struct {
		node             *node
		name, one, other string
	}{{a, "envoy1", "DOWN", "UP"}, {b, "envoy2", "UP", "DOWN"}} {
		u.more(t, 100)
		turn.node.config.SetMaintenance(true, "healthgate.maintenance")
		h.waits(t, turn.one, turn.other)
		h.runs(t, turn.name, 0)
		turn.node.restart(t)
		before := turn.node.visits()
		u.more(t, 300)
		if got := turn.node.visits() - before; got != 0 {
			t.Errorf("a node that was restarted during maintenance got %d requests", got)
		}
		turn.node.config.SetMaintenance(false, "healthgate.maintenance")
		h.waits(t, "UP", "UP")
	}
	u.more(t, 200)
	u.Saw(t, envoytest.Served)
}

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

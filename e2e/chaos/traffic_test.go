package chaos

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// client asks Envoy from an address of this machine, through one connection or each time through a new one.
type client struct{ http.Client }

func newClient(source string, kept bool) *client {
	dial := envoytest.DialerFrom(source, envoytest.Limit)
	return &client{http.Client{Timeout: envoytest.Limit,
		Transport: &http.Transport{DialContext: dial.DialContext, DisableKeepAlives: !kept, MaxIdleConnsPerHost: 1}}}
}

func (c *client) get(url, name, fault string) (*http.Response, string, error) {
	q, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, "", err
	}
	q.Header.Set("X-Client", name)
	if fault != "" {
		q.Header.Set("X-Healthgate-Fault", fault)
	}
	a, err := c.Do(q)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(a.Body)
	_ = a.Body.Close()
	return a, string(body), err
}

// ask sends a request and notes all that there is to judge.
func (r *rig) ask(c *client, name, path string) exchange {
	x := exchange{client: name, path: path, sent: time.Now()}
	a, body, err := c.get("http://"+r.address+path, name, "")
	if x.got, x.body, x.err = time.Now(), body, err; err == nil {
		x.status, x.app = a.StatusCode, a.Header.Get("X-App") != ""
	}
	return x
}

// traffic sends checks of load balancers, requests of strangers and of users, all at once, until it is stopped.
func (r *rig) traffic() (stop func()) {
	var stops []func()
	repeat := func(pause time.Duration, do func(n int)) {
		n := 0
		stops = append(stops, envoytest.Repeat(r.t, pause, func() {
			do(n)
			n++
		}))
	}
	for i := range 16 {
		c := newClient("127.0.0.1", i < 2) // two load balancers keep their connections
		repeat(150*time.Millisecond, func(n int) {
			r.judge.answered(r.ask(c, "balancer", []string{check, check, passed}[n%3]))
		})
	}
	for range 3 {
		user, stranger := newClient("127.0.0.1", false), newClient("127.0.0.2", false)
		repeat(50*time.Millisecond, func(int) { r.judge.answered(r.ask(user, "user", users)) })
		repeat(200*time.Millisecond, func(n int) {
			r.judge.answered(r.ask(stranger, "stranger", []string{check, passed}[n%2]))
		})
	}
	// A machine that is late makes Envoy late.
	last := time.Now()
	repeat(50*time.Millisecond, func(int) {
		now := time.Now()
		if by := now.Sub(last) - 50*time.Millisecond; by > 400*time.Millisecond {
			r.judge.late(now, by)
		}
		last = now
	})
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// await waits until a check is answered so.
func (r *rig) await(what, verdict string) {
	r.t.Helper()
	c := newClient("127.0.0.1", false)
	envoytest.Eventually(r.t, envoytest.Limit, what, func() error {
		if x := r.ask(c, "balancer", check); x.err != nil || verdicts[x.body] != verdict {
			return fmt.Errorf("answered %d %q %w", x.status, x.body, x.err)
		}
		return nil
	})
}

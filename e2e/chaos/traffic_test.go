package chaos

import (
	"fmt"
	"net/http"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// get asks Envoy through a client, which says who it is and perhaps orders a fault.
func get(c *http.Client, url, name, fault string) (envoytest.Answer, error) {
	q, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return envoytest.Answer{}, err
	}
	q.Header.Set("X-Client", name)
	if fault != "" {
		q.Header.Set("X-Healthgate-Fault", fault)
	}
	return envoytest.Read(c.Do(q))
}

// ask sends a request and notes all that there is to judge.
func (r *rig) ask(c *http.Client, name, path string) exchange {
	x := exchange{client: name, path: path, sent: time.Now()}
	a, err := get(c, "http://"+r.address+path, name, "")
	x.got, x.status, x.body, x.err = time.Now(), a.Status, a.Body, err
	x.app = a.Header.Get("X-App") != ""
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
		c := envoytest.ClientFrom("127.0.0.1", i < 2) // two load balancers keep their connections
		repeat(150*time.Millisecond, func(n int) {
			r.judge.answered(r.ask(c, "balancer", []string{check, check, passed}[n%3]))
		})
	}
	for range 3 {
		user, stranger := envoytest.ClientFrom("127.0.0.1", false), envoytest.ClientFrom("127.0.0.2", false)
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
	c := envoytest.ClientFrom("127.0.0.1", false)
	envoytest.Eventually(r.t, envoytest.Limit, what, func() error {
		if x := r.ask(c, "balancer", check); x.err != nil || verdicts[x.body] != verdict {
			return fmt.Errorf("answered %d %q %w", x.status, x.body, x.err)
		}
		return nil
	})
}

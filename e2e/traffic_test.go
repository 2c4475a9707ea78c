package e2e

import (
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// startTraffic sends ordinary requests until the test ends, one after the other. Every one of them must reach the
// application.
func startTraffic(t testing.TB, c client) {
	t.Helper()
	envoytest.Users(t, 20*time.Millisecond, func() (envoytest.Answer, error) {
		a, err := c.request("GET", envoytest.UsersPath, "")
		return a.Answer, err
	})
}

// watch sends checks again and again, at the longest until the test ends. One that finds no Envoy is not counted.
func watch(t testing.TB, c client) *envoytest.Load {
	return envoytest.StartLoad(t, 3*time.Millisecond, func() string {
		a, err := c.request("GET", check, "")
		if err != nil {
			return ""
		}
		return a.Said()
	})
}

package layers

import (
	"slices"
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
	a, err := envoytest.Read(envoytest.Client.Get(url))
	return a.Said(), err
}

// startLoad asks from several clients at once. None of them may be left without an answer.
func startLoad(t *testing.T, url string, clients int, pause time.Duration) *envoytest.Load {
	ask := func() string {
		answer, err := get(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		return answer
	}
	return envoytest.StartLoad(t, pause, slices.Repeat([]func() string{ask}, clients)...)
}

package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// A check for which the VM has no memory fails. It neither reaches the application, nor is it answered as if what could
// not be read were not there.
func TestRefusedAllocation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		request hostsim.Request
		key     string
	}{
		"key":   {request: hostsim.Request{}, key: "true"},
		"until": {request: hostsim.Request{}, key: "2031-01-01T00:00:00Z"},
		"route": {request: hostsim.Request{RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true}}}},
		"many headers": {key: "true", request: hostsim.Request{Header: func() (h hostsim.Header) {
			for i := range 20 {
				h = append(h, [2]string{fmt.Sprint("x-", i), "v"})
			}
			return h
		}()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReady(t, watchdog)
			s.Admin().SetRuntime("maintenance", tt.key)
			s.Advance(2 * time.Second)
			tt.request.Path, tt.request.Peer = check, balancer
			refused := 0
			for n := 1; ; n++ {
				s.Worker(0).Do(&hostsim.Request{Path: "/shop"}) // then the next one is read in another way
				for range 2 {
					s.Advance(300 * time.Millisecond) // a tick: what is remembered of routes and the record is looked up again
					seen := len(s.Logs())
					s.Inject(hostsim.FailAllocation(n).On("worker 0"))
					r := s.Worker(0).Do(&tt.request)
					if r.Status != 503 || r.Forwarded {
						t.Errorf("allocation %d refused: got %d, details %q\n%v", n, r.Status, r.Details, s.LogsFrom(seen))
					}
					if r.Details == "healthgate_starved" {
						refused++
					}
				}
				if n > 8 {
					break
				}
			}
			if refused < 2 {
				t.Errorf("%d checks could not be read", refused)
			}
		})
	}
}

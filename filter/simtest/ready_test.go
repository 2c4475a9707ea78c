package simtest

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever stands in the place of Envoy's /ready is no answer: draining that was never read is unknown, and a reading
// grows old. Draining may be ignored on purpose.
func TestReadyIsClosed(t *testing.T) {
	t.Parallel()
	for _, ready := range []answer{
		{403, "Forbidden"}, {404, "404 page not found\n"}, {302, "Found"}, {500, ""}, {200, "<html>LIVE\n"}, {503, ""},
		{200, ""},
	} {
		t.Run(strconv.Itoa(ready.status)+" "+strconv.Quote(ready.body), func(t *testing.T) {
			t.Parallel()
			const admin = `"envoy_admin"`
			for more, want := range map[string]string{
				``: "UNKNOWN", `, "on_stale": "fail"`: "UNKNOWN", `, "draining": "ignore"`: "OK",
			} {
				s := newSim(t, strings.Replace(watchdog, admin, admin+more, 1))
				s.answer("envoy_admin", "/ready", ready.status, ready.body)
				for range 15 {
					s.Advance(time.Second)
					if r := s.ask(0, check); string(r.Body) != want {
						t.Errorf("%v: got %d %q, want %s", s.Elapsed(), r.Status, r.Body, want)
					}
				}
				asked := 0
				for _, r := range s.UpstreamRequests("envoy_admin") {
					if r.Path() == "/ready" {
						asked++
					}
				}
				logged := strings.Count(s.LogText(), `draining: cannot be read through cluster "envoy_admin": status `)
				if logged != min(asked, 1) || (asked > 0) != (want == "UNKNOWN") {
					t.Errorf("/ready was asked %d times, and this was logged %d times", asked, logged)
				}
			}
		})
	}
}

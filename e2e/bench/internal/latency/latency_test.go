package latency

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
)

func TestTabulate(t *testing.T) {
	t.Parallel()
	took := func(slowest, at time.Duration) *series {
		s := &series{}
		for i := range 1000 { // ten seconds of them
			due, ms := time.Duration(i)*10*time.Millisecond, time.Millisecond
			if due == at {
				ms = slowest
			}
			s.add(due, ms, http.StatusOK, "")
		}
		return s
	}
	native, ours := took(20*time.Millisecond, 6500*time.Millisecond), took(50*time.Millisecond, 7*time.Second)
	ours.add(8*time.Second, time.Millisecond, http.StatusServiceUnavailable, "")
	ours.add(8*time.Second, time.Minute, 0, "timeout")
	table := tabulate([]*peers.Peer{{Name: base}, {Name: "ours", Ours: true}, {Name: "gone", Missing: "why"}},
		map[string]*series{base: native, "ours": ours}, 1000)
	for i, want := range []map[string]float64{
		{"checks": 1000, "p50": 1, "p99": 1, "max": 20, "at": 6.5},
		{"checks": 1001, "p50": 1, "p99": 1, "max": 50, "at": 7, "more": 30, "then": 20, "other": 1},
		{},
	} {
		for id, value := range want {
			if got := table.Rows[i].Cells[id].Value; got != value {
				t.Errorf("%s, %s: %v, want %v", table.Rows[i].Name, id, got, value)
			}
		}
		if _, is := table.Rows[i].Cells["more"]; is != (want["more"] != 0) {
			t.Errorf("%s: compared with itself or with nothing", table.Rows[i].Name)
		}
	}
	if table.Rows[2].Missing != "why" {
		t.Error("the row that is missing does not say why")
	}
	if got := native.around(time.Second); got != 1 {
		t.Errorf("far from the slowest one took %v ms", got)
	}
}

// TestAttack: every row gets its number of checks; the time of those held up by a server runs from when they were due; one
// that a server never answers is an error that says which.
func TestAttack(t *testing.T) {
	t.Parallel()
	const checks, held = 2000, 300 * time.Millisecond
	var served [2]atomic.Int64
	var rows []*peers.Peer
	for i, name := range []string{"slow", "broken"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch n := served[i].Add(1); {
			case i == 0 && n > 1000 && n <= 1000+connections:
				time.Sleep(held) // all connections are busy for as long
			case i == 1 && n == 1000:
				w.Header().Set("content-length", "100")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler) // in the middle: the client would repeat a check without any answer
			}
		}))
		t.Cleanup(server.Close)
		rows = append(rows, &peers.Peer{Name: name, URL: server.URL})
	}
	of, err := attack(context.Background(), &bench.Env{Logf: t.Logf}, rows, checks)
	if err == nil || !strings.Contains(err.Error(), "broken: 1 checks") || strings.Contains(err.Error(), "slow") {
		t.Errorf("error %v", err)
	}
	slow, broken := of["slow"], of["broken"]
	if len(slow.took) != checks || len(broken.took) != checks-1 {
		t.Fatalf("%d and %d checks were answered", len(slow.took), len(broken.took))
	}
	late := 0
	for _, ms := range slow.took {
		if ms > float64(held/2/time.Millisecond) {
			late++
		}
	}
	// For half of the time that the server slept, the checks that became due had to wait for the other half or more.
	if want := int(rate * held.Seconds() / 2); late < want {
		t.Errorf("%d checks were late, want %d or more", late, want)
	}
}

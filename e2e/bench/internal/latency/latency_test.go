package latency

import (
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
)

func TestTabulate(t *testing.T) {
	t.Parallel()
	took := func(n int, slowest time.Duration) []time.Duration {
		out := make([]time.Duration, n)
		for i := range out {
			out[i] = time.Millisecond
		}
		out[n/2] = slowest
		return out
	}
	table := tabulate([]*peers.Peer{{Name: base}, {Name: "ours", Ours: true}, {Name: "gone", Missing: "why"}},
		[][]time.Duration{took(1000, 20*time.Millisecond), took(1000, 50*time.Millisecond), nil}, []int{0, 2, 0})
	for i, want := range []map[string]float64{
		{"checks": 1000, "p50": 1, "p99": 1, "max": 20},
		{"checks": 1000, "p50": 1, "p99": 1, "max": 50, "more": 30, "other": 2},
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
}

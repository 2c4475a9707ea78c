package monitor

import (
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/config"
)

func TestMaintenanceLog(t *testing.T) {
	t.Parallel()
	c := &config.Config{Keys: []string{"k"}, Admin: &config.Admin{Cluster: "a", Interval: time.Second, Timeout: time.Second},
		Endpoints: []config.Endpoint{{Name: "e", Maintenance: config.Maintenance{Keys: []int{0}}}}}
	w := &world{now: int64(time.Hour)}
	m := New(c, nil, w, w)
	for _, v := range []string{"ture", "ture", "off"} {
		for _, s := range m.Due() {
			m.Answered(s.Callout, s.Number, 200, func() []byte { return []byte(`{"entries":{"k":{"final_value":"` + v + `"}}}`) })
		}
		w.now += int64(time.Second)
	}
	want := `runtime: key "k" = "ture" is neither a truth value, a number nor an RFC 3339 time; it counts as on|` +
		`maintenance: endpoint "e": on: key "k" = "ture"|maintenance: endpoint "e": off`
	if got := strings.Join(w.log, "|"); got != want || w.bad != 1 {
		t.Errorf("%s (%d)", got, w.bad)
	}
}

package throw

import "testing"

func TestTabulate(t *testing.T) {
	t.Parallel()
	table := tabulate([]*row{
		{name: "two lanes", lanes: []*lane{{toDown: []float64{1, 2}, toUp: []float64{10}}, {toDown: []float64{3}, toUp: []float64{30}}}},
		{name: "gone", missing: "no compiler"},
	}, 3)
	for id, want := range map[string]float64{"down50": 2, "down100": 3, "up50": 20, "up100": 30} {
		if got := table.Rows[0].Cells[id].Value; got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	if gone := table.Rows[1]; gone.Missing != "no compiler" || len(gone.Cells) != 0 {
		t.Errorf("%+v", gone)
	}
}

package metrics

import "testing"

func TestStore(t *testing.T) {
	t.Parallel()
	var s Store
	if _, ok := s.Lookup("c"); ok {
		t.Error("c is there")
	}
	s.Define(Counter, "c").Add(2)
	s.Define(Counter, "c").Add(3)
	g := s.Define(Gauge, "g")
	g.Set(10)
	minus := int64(-3)
	g.Add(uint64(minus))
	h := s.Define(Histogram, "h")
	h.Record(7)
	h.Record(1)
	for name, want := range map[string]uint64{"c": 5, "g": 7} {
		if got, ok := s.Lookup(name); got != want || !ok {
			t.Errorf("%s is %d", name, got)
		}
	}
	if _, ok := s.Lookup("h"); ok {
		t.Error("a histogram has a value")
	}
	all := s.All()
	if len(all) != 3 || all[2].Name != "h" || len(all[2].Samples) != 2 || all[2].Samples[1] != 1 {
		t.Errorf("%+v", all)
	}
}

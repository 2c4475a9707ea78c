package headers

import (
	"slices"
	"testing"
)

func TestMap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(m *Map)
		want   []Field
		bytes  int
	}{
		{"names are lower-cased and order is kept", func(m *Map) {
			m.Add("B", "2")
			m.Add("a", "1")
		}, []Field{{"b", "2"}, {"a", "1"}}, 4},
		{"pseudo headers come first", func(m *Map) {
			m.Add("a", "1")
			m.Add(":path", "/")
			m.Add(":method", "GET")
		}, []Field{{":path", "/"}, {":method", "GET"}, {"a", "1"}}, 18},
		{"inline headers are joined", func(m *Map) {
			m.Add("user-agent", "a")
			m.Add("user-agent", "b")
			m.Add("user-agent", "")
			m.Add("x", "a")
			m.Add("x", "b")
		}, []Field{{"user-agent", "a,b"}, {"x", "a"}, {"x", "b"}}, 17},
		{"Set replaces all values, at the end", func(m *Map) {
			m.Add("x", "1")
			m.Add("y", "2")
			m.Add("x", "3")
			m.Set("X", "4")
		}, []Field{{"y", "2"}, {"x", "4"}}, 4},
		{"a pseudo header that is set goes behind the others", func(m *Map) {
			m.Add(":path", "/")
			m.Add(":method", "GET")
			m.Add("x", "")
			m.Set(":path", "/a")
		}, []Field{{":method", "GET"}, {":path", "/a"}, {"x", ""}}, 18},
		{"Remove takes all values", func(m *Map) {
			m.Add("x", "1")
			m.Add("y", "2")
			m.Add("x", "3")
			m.Remove("X")
		}, []Field{{"y", "2"}}, 2},
		{"Replace starts anew", func(m *Map) {
			m.Add("x", "1")
			m.Replace([]Field{{"A", "1"}, {":path", "/"}})
		}, []Field{{":path", "/"}, {"a", "1"}}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := New()
			c.change(m)
			if !slices.Equal(m.Fields(), c.want) || m.ByteSize() != c.bytes {
				t.Errorf("%v, %d bytes", m.Fields(), m.ByteSize())
			}
		})
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	m := New(Field{"x", "1"}, Field{"X", "2"}, Field{"empty", ""})
	if v, ok := m.Get("X"); v != "1" || !ok {
		t.Error(v, ok)
	}
	if v, ok := m.Get("empty"); v != "" || !ok {
		t.Error(v, ok)
	}
	if _, ok := m.Get("none"); ok {
		t.Error("none is there")
	}
	if vs := m.Values("x"); !slices.Equal(vs, []string{"1", "2"}) {
		t.Error(vs)
	}
	clone := m.Clone()
	clone.Set("x", "3")
	if m.Value("x") != "1" || clone.Value("x") != "3" {
		t.Error("the clone is no clone")
	}
	var none *Map
	if none.Len() != 0 || none.Fields() != nil || none.Value("x") != "" || none.Clone() != nil {
		t.Error("a nil map is not empty")
	}
}

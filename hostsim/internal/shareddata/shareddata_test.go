package shareddata

import (
	"errors"
	"testing"
)

func TestStore(t *testing.T) {
	t.Parallel()
	var s Store
	set := func(vm, key, value string, cas uint32, want error) {
		t.Helper()
		if err := s.Set(vm, key, value, cas); !errors.Is(err, want) {
			t.Errorf("set %s: %v, want %v", key, err, want)
		}
	}
	get := func(vm, key, value string, cas uint32) {
		t.Helper()
		for _, f := range []func() (Entry, error){
			func() (Entry, error) { return s.Get(vm, []byte(key)) },
			func() (Entry, error) { return s.Get(vm, []byte(key)) },
		} {
			if e, err := f(); err != nil || e.Value != value || e.Cas != cas {
				t.Errorf("%s: %+v, %v", key, e, err)
			}
		}
	}
	if _, err := s.Get("vm", []byte("a")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	set("vm", "a", "1", 42, nil)
	get("vm", "a", "1", 1)
	set("vm", "a", "2", 42, ErrCasMismatch)
	set("vm", "a", "2", 1, nil)
	set("vm", "b", "3", 0, nil)
	set("vm", "a", "4", 0, nil)
	get("vm", "a", "4", 4)
	get("vm", "b", "3", 3)
	set("other", "a", "5", 4, nil)
	get("other", "a", "5", 5)
	if es := s.Entries("vm"); len(es) != 2 || es[0].Key != "a" || es[1].Key != "b" {
		t.Error(es)
	}
	s.DeleteVMID("vm")
	if es := s.Entries("vm"); len(es) != 0 {
		t.Error(es)
	}
	set("vm", "a", "6", 0, nil)
	get("vm", "a", "6", 6) // the numbers go on
}

func TestCasWrapsPastZero(t *testing.T) {
	t.Parallel()
	s := Store{cas: 1<<32 - 1}
	s.Set("vm", "a", "", 0)
	if e, _ := s.Get("vm", []byte("a")); e.Cas != 1 {
		t.Errorf("cas %d", e.Cas)
	}
}

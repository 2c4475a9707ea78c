package envoytest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// MountConfigMap brings a folder to a content as the kubelet does with the volume of a ConfigMap: the files are in a
// new folder, the link ..data is moved onto it, the files' own names are links through ..data, and the old folder goes.
func MountConfigMap(t testing.TB, dir string, data map[string]string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	next, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	check(err)
	for key, value := range data {
		check(os.WriteFile(filepath.Join(next, key), []byte(value), 0o600))
	}
	link := filepath.Join(dir, "..data")
	old, _ := os.Readlink(link) // there is none the first time
	check(os.Symlink(filepath.Base(next), link+"_tmp"))
	check(os.Rename(link+"_tmp", link))
	entries, err := os.ReadDir(dir)
	check(err)
	for _, e := range entries {
		if _, is := data[e.Name()]; !is && e.Name()[0] != '.' {
			check(os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	for key := range data {
		err := os.Symlink(filepath.Join("..data", key), filepath.Join(dir, key))
		if err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if old != "" {
		check(os.RemoveAll(filepath.Join(dir, old)))
	}
}

package cli

import (
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// Each key that render takes, `maintenance on --route` can set through admin, a disk layer and an RTDS file, so that
// it is there under its own name; and render refuses what they refuse.
func TestRenderedKeysCanBeSet(t *testing.T) {
	t.Parallel()
	file, dir := write(t, strings.Replace(minimal, "path: /alive", "path: /", 1)), t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	parts := strings.Fields("a B 7 . . - _ .. 0x1 1e3 true null ~ healthgate. .reason {zone} {endpoint} / \\ : # & = % " +
		"+ ? * ' \" é \x01 \u0085")
	parts = append(parts, " ", "\n", "\t", strings.Repeat("k", 120))
	taken := 0
	for range 400 {
		key := ""
		for range 1 + r.IntN(4) {
			key += parts[min(r.IntN(len(parts)), r.IntN(len(parts)))] // more often one of the first
		}
		_, stderr, code := call(t, "render", "envoy", file, "--route-key", key)
		key = strings.ReplaceAll(key, "{endpoint}", "a")
		disk, rtds := filepath.Join(dir, "current"), filepath.Join(dir, "rtds.yaml")
		_, stderrDisk, codeDisk := call(t, "maintenance", "on", "--route", "--runtime-dir", disk, "--", key)
		_, stderrRTDS, codeRTDS := call(t, "maintenance", "on", "--route", "--rtds-file", rtds, "--", key)
		if code != codeDisk || code != codeRTDS {
			t.Errorf("%q: render: %d, %s\ndisk: %d, %s\nRTDS: %d, %s", key, code, stderr, codeDisk,
				stderrDisk, codeRTDS, stderrRTDS)
		}
		if code != 0 {
			continue
		}
		taken++
		if text, err := os.ReadFile(filepath.Join(disk, key)); err != nil || string(text) != "100\n" {
			t.Errorf("%q on disk: %q, %v", key, text, err)
		}
		text := must.Get(os.ReadFile(rtds))(t)
		var held struct {
			Resources []struct{ Layer map[string]any }
		}
		if err := yaml.Unmarshal(text, &held); err != nil ||
			!reflect.DeepEqual(held.Resources[0].Layer, map[string]any{key: 100}) {
			t.Errorf("%q by RTDS: %s, %v", key, text, err)
		}
		_, query, _ := strings.Cut(admin.ModifyPath(key, "100"), "?")
		if got, err := url.ParseQuery(query); err != nil || !reflect.DeepEqual(got, url.Values{key: {"100"}}) {
			t.Errorf("%q by admin: %q, %v", key, got, err)
		}
		for _, path := range []string{filepath.Join(disk, key), rtds} {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	if taken < 50 || taken > 300 {
		t.Errorf("%d of 400 keys were taken", taken)
	}
}

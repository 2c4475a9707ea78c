// Package layer changes runtime layers that are files, so that Envoy notices: a disk layer, whose symbolic link has to
// be replaced, and an RTDS file, which has to be replaced as a whole.
package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Layer is a runtime layer that can be changed.
type Layer interface {
	Holds(key string) bool // reports whether the key may be in it
	Check() error          // reports why Apply would fail whatever the change, and does nothing
	Try(Change) error      // reports why Apply would fail, and changes nothing
	// Apply makes a change. Whatever ends it, also a kill, the layer is as it was or as it should be.
	Apply(context.Context, Change) error
}

// Change is what is done to keys. An empty value takes a key out.
type Change []Pair

// Pair is a runtime key and its value.
type Pair struct{ Key, Value string }

// Pairs returns the change as key, value, key, value….
func (c Change) Pairs() []string {
	var out []string
	for _, p := range c {
		out = append(out, p.Key, p.Value)
	}
	return out
}

// CheckRemoval refuses a change that only takes keys out of a layer that is not there: the path is wrong, or nothing
// was ever switched on through it.
func CheckRemoval(path string, c Change) error {
	sets := slices.ContainsFunc(c, func(p Pair) bool { return p.Value != "" })
	if _, err := os.Lstat(path); sets || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s does not exist, so no key can be taken out of it; is it the path that Envoy's layer has?", path)
}

// maxKey leaves room for ".reason" in a file's name, which has at most 255 bytes.
const maxKey = 255 - len(".reason")

// CheckKey refuses what can't be set in each of the ways, as a file's name for one, and placeholders that were not
// filled in.
func CheckKey(key string) error {
	if strings.ContainsAny(key, "{}") {
		return fmt.Errorf("%q: write what the placeholder stands for on that Envoy, as in healthgate.maintenance.zone.eu-1a",
			key)
	}
	for _, c := range key {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("%q has characters other than letters, digits, '_', '-' and '.'", key)
		}
	}
	if len(key) > maxKey {
		return fmt.Errorf("%.40q… has %d characters, and the name of a file in a disk layer at most %d with .reason "+
			"behind it", key, len(key), maxKey)
	}
	if key == "" || key[0] == '.' {
		return fmt.Errorf("%q is no key; begin with a letter or digit", key)
	}
	if base, is := strings.CutSuffix(key, ".reason"); is {
		return fmt.Errorf("%q is where the reason of %q is kept; give a key without .reason", key, base)
	}
	return nil
}

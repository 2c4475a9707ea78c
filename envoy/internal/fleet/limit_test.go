package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Each letter of the Envoys is one: p is pending, o out of rotation, x both, and - has been done.
func TestWaves(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/waves.txt", func(t *testing.T, d *datadriven.TestData) string {
		limit, err := ParseLimit(d.CmdArgs[0].Key)
		if err != nil {
			return err.Error()
		}
		envoys := strings.TrimSpace(d.Input)
		most, err := limit.Of(len(envoys))
		if err != nil {
			return err.Error()
		}
		var names []string
		var pending, out []bool
		for i, c := range envoys {
			names = append(names, fmt.Sprint(i))
			pending, out = append(pending, c == 'p' || c == 'x'), append(out, c == 'o' || c == 'x')
		}
		wave, why := Wave(names, pending, out, most, d.Cmd == "rolling")
		return fmt.Sprint(wave, " ", why)
	})
}

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
		var pending []bool
		var out []string
		for i, c := range envoys {
			pending, out = append(pending, c == 'p' || c == 'x'), append(out, "")
			if c == 'o' || c == 'x' {
				out[i] = fmt.Sprint(i)
			}
		}
		wave, why := Wave(pending, out, most, d.Cmd == "rolling")
		return fmt.Sprint(wave, " ", why)
	})
}

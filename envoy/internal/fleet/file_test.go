package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

func TestLines(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/lines.txt", func(_ *testing.T, d *datadriven.TestData) string {
		text := strings.NewReplacer(`\r`, "\r", `\t`, "\t", `\ufeff`, "\ufeff").Replace(d.Input)
		lines, err := Lines("fleet.txt", text)
		if err != nil {
			return err.Error()
		}
		out := ""
		for _, l := range lines {
			out += fmt.Sprintln(l.Place, l.Address)
		}
		return out
	})
}

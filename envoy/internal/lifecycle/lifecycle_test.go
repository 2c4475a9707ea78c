package lifecycle

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

func TestDecisions(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/decisions.txt", func(t *testing.T, d *datadriven.TestData) string {
		number := func(text string) float64 {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return n
		}
		checks, idle, counts := Checks{Need: 3, Quiet: 5 * time.Second}, Idle{}, map[string]Count{}
		var out strings.Builder
		lines := strings.Split(d.Input, "\n")
		for i, text := range lines {
			words := strings.Fields(text)
			now, lack := time.Unix(0, 0).Add(time.Duration(number(words[0])*float64(time.Second))), ""
			switch d.Cmd {
			case "checks":
				counts[words[1]] = Count{Open: uint64(number(words[2])), Closed: uint64(number(words[3]))}
				if i+1 < len(lines) && strings.HasPrefix(lines[i+1], words[0]+" ") {
					continue // the same moment
				}
				lack = checks.Take(now, counts)
			case "idle":
				lack = idle.Take(now, uint64(number(words[1])))
			case "holds":
				up, probes := map[string]bool{}, []string{}
				for _, word := range words[1:] {
					name := strings.TrimPrefix(word, "+")
					probes, up[name] = append(probes, name), name != word
				}
				lack = Holds("shop", up, probes, int(number(words[0])))
			}
			fmt.Fprintln(&out, words[0], cmp.Or(lack, "-"))
		}
		if d.Cmd == "checks" {
			fmt.Fprintln(&out, checks.Seen())
		}
		return out.String()
	})
}

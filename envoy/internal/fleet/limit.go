package fleet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limit is how many Envoys may be out of rotation at once.
type Limit struct {
	number  int
	percent bool
}

// ParseLimit reads a number, or a percentage.
func ParseLimit(text string) (Limit, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 31)
	switch {
	case err != nil || percent && n > 100:
		return Limit{}, fmt.Errorf("%q is neither a number of Envoys, such as 3, nor a percentage, such as 10%%", text)
	case n == 0:
		return Limit{}, errors.New(text + " lets none go")
	}
	return Limit{int(n), percent}, nil
}

// Of returns the limit of so many Envoys. A percentage is rounded down.
func (l Limit) Of(all int) (int, error) {
	if !l.percent {
		return l.number, nil
	}
	if n := all * l.number / 100; n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%d%% of %d Envoys is none: give a number", l.number, all)
}

// Wave returns which of the pending Envoys may go now, when others count as out of rotation, out says which and how,
// and no more than most may be. When some want to go and none may, it says why. Those that do not come back by
// themselves go all or none.
func Wave(pending []bool, out []string, most int, back bool) (wave []int, why string) {
	var gone []string
	for i := range out {
		switch {
		case out[i] != "":
			gone = append(gone, out[i])
		case pending[i]:
			wave = append(wave, i)
		}
	}
	room := most - len(gone)
	if len(wave) == 0 || len(wave) <= room || back && room > 0 {
		return wave[:max(0, min(room, len(wave)))], ""
	}
	why = fmt.Sprintf("of %d Envoys no more than %d may be out of rotation, ", len(out), most)
	if len(gone) > 0 {
		count := map[bool]string{true: "counts", false: "count"}[len(gone) == 1]
		why += fmt.Sprintf("%d %s as out (%s), and ", len(gone), count, Some(gone))
	}
	return nil, fmt.Sprintf("%s%d more would go", why, len(wave))
}

// Some names a few of many.
func Some(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

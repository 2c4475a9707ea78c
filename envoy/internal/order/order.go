// Package order takes Envoys into and out of maintenance by a runtime key, and sees that it came about.
package order

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/healthgate/healthgate/envoy/internal/layer"
)

// Order is what an operator wants of a key.
type Order struct {
	Key    string
	Value  string // what the key is set to; empty: it is taken out
	Reason string // what KEY.reason is set to; empty: it is taken out
	On     bool
	Route  bool // the key is the runtime_fraction of a maintenance route, which the plugin does not read
	Steps  bool // more follows, which sees by checks what came about

	Path   string // of the layer's own that is written, by reach.Canonical; empty for the admin layer
	Folder string // of a disk layer, below Path
}

// Values that an order sets a key to, besides a time.
const (
	On      = "true"
	RouteOn = "100" // a percentage
	Off     = "false"
)

// Change is what the order does to a layer.
func (o Order) Change() layer.Change {
	return layer.Change{{Key: o.Key, Value: o.Value}, {Key: o.Key + ".reason", Value: o.Reason}}
}

// maxReason is how much of a reason the plugin keeps, in bytes.
const maxReason = 256

// CheckReason refuses a text that would not arrive whole.
func CheckReason(reason string) error {
	switch {
	case len(reason) > maxReason:
		return fmt.Errorf("has %d bytes, and the plugin keeps %d; say it in fewer words", len(reason), maxReason)
	case strings.ContainsFunc(reason, unicode.IsControl):
		return errors.New("has a control character; write one line of text")
	case strings.HasPrefix(reason, "#"):
		return errors.New("starts with #, which makes it a comment in a file of a disk layer; begin with another character")
	case strings.TrimSpace(reason) != reason:
		return errors.New("has a space at its begin or end, which does not arrive")
	case layer.CheckValue(reason) != nil:
		return fmt.Errorf("is read by Envoy as YAML, and is none: %w; write it in words, without ': ' and brackets",
			layer.CheckValue(reason))
	}
	return nil
}

// For returns the value that ends by itself after a time such as 30m.
func For(text string, now time.Time) (string, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is not a time such as 30m or 1h30m; a day is 24h", text)
	case d < time.Second:
		return "", fmt.Errorf("%s is less than a second", d)
	}
	return whole(now.Add(d)).Format(time.RFC3339), nil
}

// whole returns a time in whole seconds, rounded up, in UTC.
func whole(t time.Time) time.Time {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second)
}

// Until returns the value that ends by itself at a time: RFC 3339, or a local date and time, or the next such time of
// day. The note says which one was taken of a local time that comes twice.
func Until(text string, now time.Time) (value, note string, err error) {
	t, is := Exact(text)
	if !is {
		t, note, err = local(text, now)
	}
	switch end := whole(t); {
	case err != nil:
		return "", "", err
	case !t.After(now):
		return "", "", fmt.Errorf("%s has passed", t.Format(time.RFC3339))
	case end.Year() > 9999:
		return "", "", fmt.Errorf("%s is in the year %d in UTC, and RFC 3339 ends with 9999", text, end.Year())
	default:
		return end.Format(time.RFC3339), note, nil
	}
}

// exact is RFC 3339's form of a time. time.Parse takes others for it, too.
var exact = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// Exact reads a time of RFC 3339, which has an offset.
func Exact(text string) (t time.Time, is bool) {
	text = strings.ToUpper(text) // it may have small letters, says its section 5.6
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil && exact.MatchString(text)
}

// local reads a date and time, or a time of day, on the clock of now's location.
func local(text string, now time.Time) (t time.Time, note string, err error) {
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if clock, err := time.Parse(form, text); err == nil {
			return onClock(clock, now)
		}
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return t, "", fmt.Errorf("%q is not a time such as 2026-12-01T06:00:00Z, \"2026-12-01 06:00\" or 06:00 (local)", text)
	}
	clock = time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
	if t, note, err = onClock(clock, now); !t.After(now) {
		t, note, err = onClock(clock.AddDate(0, 0, 1), now)
	}
	return t, note, err
}

// onClock returns when the clock of now's location shows what clock shows in UTC. When clocks are changed, that may be
// twice, of which the next to come is taken, or never.
func onClock(clock, now time.Time) (t time.Time, note string, err error) {
	_, before := clock.AddDate(0, 0, -1).In(now.Location()).Zone()
	_, after := clock.AddDate(0, 0, 1).In(now.Location()).Zone()
	shows := func(offset int) (time.Time, bool) {
		t := clock.Add(-time.Duration(offset) * time.Second).In(now.Location())
		_, is := t.Zone()
		return t, is == offset
	}
	first, isFirst := shows(before)
	second, isSecond := shows(after)
	switch {
	case before == after || isFirst && !isSecond:
		return first, "", nil
	case isSecond && !isFirst:
		return second, "", nil
	case !isFirst:
		return first, "", fmt.Errorf("%s never comes: the clocks go forward", clock.Format("2006-01-02 15:04"))
	}
	taken, other := first, second
	if !first.After(now) {
		taken, other = second, first
	}
	return taken, fmt.Sprintf("%s comes twice, as the clocks go back: taken is %s, not %s",
		clock.Format("2006-01-02 15:04"),
		taken.Format(time.RFC3339), other.Format(time.RFC3339)), nil
}

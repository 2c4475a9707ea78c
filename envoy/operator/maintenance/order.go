// Package maintenance takes Envoys into and out of maintenance by a runtime key, and sees that it came about.
package maintenance

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/operator/layer"
)

// Order is what an operator wants of a key.
type Order struct {
	Key    string
	Value  string // what the key is set to; empty: it is taken out
	Reason string // what KEY.reason is set to; empty: it is taken out
	On     bool
	Route  bool // the key is the runtime_fraction of a maintenance route, which the plugin does not read
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
	case strings.ContainsFunc(reason, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return errors.New("has a control character; write one line of text")
	case strings.HasPrefix(reason, "#"):
		return errors.New("starts with #, which makes it a comment in a file of a disk layer; begin with another character")
	case strings.TrimSpace(reason) != reason:
		return errors.New("has a space at its begin or end, which does not arrive")
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
	end := now.Add(d)
	if whole := end.Truncate(time.Second); whole.Before(end) {
		end = whole.Add(time.Second)
	}
	return end.UTC().Format(time.RFC3339), nil
}

// Until returns the value that ends by itself at a time: RFC 3339, or a local date and time, or the next such time of day.
func Until(text string, now time.Time) (string, error) {
	t, err := time.Parse(time.RFC3339, text)
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if err != nil {
			t, err = time.ParseInLocation(form, text, now.Location())
		}
	}
	if err != nil {
		var clock time.Time
		if clock, err = time.Parse("15:04", text); err == nil {
			t = time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
			if !t.After(now) {
				t = time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(), 0, 0, now.Location())
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("%q is not a time such as 2026-12-01T06:00:00Z, \"2026-12-01 06:00\" or 06:00 (local)", text)
	}
	if !t.After(now) {
		return "", fmt.Errorf("%s has passed", t.Format(time.RFC3339))
	}
	return t.UTC().Format(time.RFC3339), nil
}

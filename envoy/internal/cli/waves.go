package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/fleet"
	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// unavailable bounds how many Envoys are out of rotation at once.
type unavailable struct {
	most  string
	back  string // when more than that may go by turns
	limit fleet.Limit
	span  string // for which each is out; empty: it is not known
}

func (u *unavailable) flags(cmd *cobra.Command, back string) {
	u.back = back
	cmd.Flags().StringVar(&u.most, "max-unavailable", "",
		"never have more of the given Envoys out of rotation at once than `N`, or N%, with those that already are; "+back)
}

func (u *unavailable) check(s *switching) (err error) {
	switch {
	case u.most == "":
		return nil
	case s.layer != nil:
		return fmt.Errorf("--max-unavailable: %s is for all Envoys at once; leave one of them out", s.flag())
	case s.dryRun:
		return errors.New("--dry-run: asks no Envoy; leave out --max-unavailable")
	}
	if u.limit, err = fleet.ParseLimit(u.most); err == nil && len(s.clients) > 0 {
		_, err = u.limit.Of(len(s.clients))
	}
	if err != nil {
		return fmt.Errorf("--max-unavailable: %w", err)
	}
	return nil
}

// rolling reports whether each Envoy comes back by itself, and then the next goes.
func (s *switching) rolling() bool {
	return s.unavailable.most != "" && (s.unavailable.span != "" || s.leaving.quit)
}

// timed does something with an Envoy, and notes when it was done.
func (c *carrying) timed(do func(i int)) func(i int) {
	return func(i int) {
		do(i)
		c.done[i] = time.Now()
	}
}

// lookAgain looks again at Envoys that were done before others: what is said at the end is so then.
func (c *carrying) lookAgain(ctx context.Context) {
	c.each(func(i int) {
		if ctx.Err() == nil && c.states[i].Error == "" && !c.done[i].IsZero() && time.Since(c.done[i]) > fresh {
			c.again(ctx, i)
		}
	})
}

// again looks whether an Envoy with which all was done is as it was then.
func (c *carrying) again(ctx context.Context, i int) {
	var err error
	switch e, s := c.envoys[i], &c.states[i]; {
	case c.rolling():
		switch r := report.FromAdmin(ctx, c.clients[i], time.Now(), nil); {
		case r.Error != "":
			err = errors.New(r.Error)
		case !r.Open():
			err = errors.New("its health checks are " + r.Class().String())
		}
	case !c.stepwise:
		was := *s
		*s = e.Again(ctx, c.order, c.kind, c.checks(i))
		s.Already = was.Already
		c.note(i, was.Notes...)
	case c.leaving.quit: // it is gone
	case c.coming:
		open, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		err = e.WaitOpen(open, c.order.Key != "", false)
	default:
		if err = e.StaysClosed(ctx, c.order, c.kind); err != nil && !errors.As(err, new(*order.OpenError)) {
			// Who ended it did not have to wait for the others.
			c.note(i, "its health checks failed to its end here, and whether they still do is not known: "+err.Error())
			err = nil
		}
	}
	switch {
	case err == nil:
	case c.rolling():
		c.stopped(ctx, i, order.Back, fmt.Errorf("it was back before: %w", err))
	case c.coming:
		c.stopped(ctx, i, order.Back, fmt.Errorf("it was open before: %w", err))
	default:
		c.stopped(ctx, i, "", err)
	}
}

// carry carries the order out with all Envoys, each at its own pace, or with as many at once as may be out.
func (c *carrying) carry(ctx context.Context, do func(ctx context.Context, i int)) {
	one := func(i int) {
		ctx, cancel := context.WithTimeout(ctx, c.wait)
		defer cancel()
		do(ctx, i)
	}
	defer c.lookAgain(ctx)
	if c.unavailable.most == "" {
		c.each(c.timed(one))
		return
	}
	most, _ := c.unavailable.limit.Of(len(c.clients)) // which was tried
	pending := slices.Repeat([]bool{true}, len(c.clients))
	c.look.out = func() []string {
		out, processes := make([]string, len(pending)), make([]string, len(pending))
		c.admins.each(len(pending), func(i int) {
			r := report.FromAdmin(ctx, c.clients[i], time.Now(), nil)
			if processes[i] = r.Process; !r.Open() {
				out[i] = c.clients[i].Name + " " + r.Class().String()
			}
			if !c.look.going[i] { // else it is being asked for more
				c.clients[i].Close()
			}
		})
		met := report.Met{}
		for i, client := range c.clients {
			if again := met.Again(processes[i], client.Name); again != "" {
				c.look.twice = client.Name + ": " + again
			}
		}
		return out
	}
	for why := ""; why == ""; {
		c.look.going = make([]bool, len(pending))
		out := c.look.out()
		var wave []int
		if wave, why = fleet.Wave(pending, out, most, c.rolling()); c.look.twice != "" {
			wave, why = nil, c.look.twice
		}
		wave = wave[:min(len(wave), c.admins.parallel)] // all go at once, for one time
		switch {
		case ctx.Err() != nil:
			wave = nil
		case !c.rolling() && why == "":
			c.each(c.timed(one))
			return
		case !c.rolling() && c.look.twice == "":
			why += "; " + c.unavailable.back
		case why == "" && len(wave) == 0:
			why = "counted as out: " + fleet.Some(taken(out)) + "; healthgate status tells why"
		case why == "":
			why = c.wave(ctx, wave, one)
		}
		if ctx.Err() != nil {
			why = "interrupted"
		}
		for _, i := range wave {
			pending[i] = false
		}
		for i := range pending {
			if pending[i] && why != "" {
				c.leaveOut(i, why)
			}
		}
	}
}

// look is which of all Envoys count as out of rotation, seen once for those who ask at the same time.
type look struct {
	out   func() []string // empty for one that does not
	going []bool          // whose turn it is
	twice string          // which one is counted twice

	mu    sync.Mutex
	begun time.Time
	last  []string
}

// after returns what was seen by a look that began later than now.
func (l *look) after() []string {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun.After(now) {
		l.begun = time.Now()
		l.last = l.out()
	}
	return l.last
}

// taken returns those that are not empty.
func taken(out []string) []string {
	return slices.DeleteFunc(slices.Clone(out), func(s string) bool { return s == "" })
}

// within looks, once an Envoy is out of rotation, whether too many are: another command that began at the same moment
// could not see it. Each of the two sees the other now, or one of them does, and takes its own back before it drains.
func (c *carrying) within(ctx context.Context, i int, back func(ctx context.Context) error) bool {
	if !c.rolling() { // all go, or none
		return true
	}
	most, _ := c.unavailable.limit.Of(len(c.clients)) // which was tried
	out := taken(c.look.after())
	if len(out) <= most || errors.Is(ctx.Err(), context.Canceled) { // what was cut off says nothing
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.wait)
	defer cancel()
	left := "it was taken back"
	if err := back(ctx); err != nil {
		left = "it was told to come back: " + err.Error()
	}
	c.states[i].Error = fmt.Sprintf("of %d Envoys no more than %d may be out of rotation, and now %d count as out (%s); "+
		"%s", len(c.clients), most, len(out), fleet.Some(out), left)
	return false
}

// wave takes some Envoys out, and waits until they are back. It says why no other is to follow.
func (c *carrying) wave(ctx context.Context, wave []int, one func(i int)) string {
	for _, i := range wave {
		c.look.going[i] = true
	}
	if span := c.unavailable.span; span != "" {
		c.order.Value, _ = order.For(span, time.Now()) // which was tried
	}
	turn := c.releasing(func(i int) {
		if one(i); c.states[i].Error != "" {
			return
		}
		end := time.Now()
		if until := c.states[i].Until; until != nil {
			end = *until
		}
		ctx, cancel := context.WithDeadline(ctx, end.Add(max(c.wait, time.Duration(c.leaving.back)*c.leaving.quiet)))
		defer cancel()
		soon, cancel := context.WithDeadline(ctx, end.Add(c.wait))
		defer cancel()
		select {
		case <-time.After(time.Until(end)):
		case <-ctx.Done():
		}
		what, err := c.envoys[i].WaitBack(ctx, soon, c.leaving.back)
		if err != nil {
			ended := soon
			if errors.Is(ctx.Err(), context.Canceled) {
				ended, err = ctx, errors.New("it was not seen to be back")
			}
			c.stopped(ended, i, order.Back, err)
			return
		}
		c.step(i, order.Back, what)
		c.done[i] = time.Now()
		if c.order.Key != "" {
			value := c.states[i].Value
			c.states[i] = order.Ask(ctx, c.clients[i], c.order.Key, c.route).State
			if c.unavailable.span != "" && c.states[i].Value != value {
				c.states[i].Notes = append(c.states[i].Notes, "its key did not stay as it was written: somebody has changed it, "+
					"or Envoy was restarted, so that it may have been back sooner")
			}
		}
	})
	c.admins.each(len(wave), func(k int) { turn(wave[k]) })
	failed := slices.IndexFunc(wave, func(i int) bool { return c.states[i].Error != "" })
	if failed < 0 {
		return ""
	}
	return c.clients[wave[failed]].Name + " failed"
}

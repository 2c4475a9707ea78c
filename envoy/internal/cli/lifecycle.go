package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lifecycle"
	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// leaving is what is waited for, and done, when an instance goes.
type leaving struct {
	checks uint64
	back   uint64 // how many get success before another may go
	quiet  time.Duration
	idle   bool
	drain  bool
	quit   bool
	open   string // the endpoint that is to stay open
}

func (l *leaving) flags(cmd *cobra.Command, checks uint64) {
	cmd.Flags().Uint64Var(&l.checks, "wait-checks", checks, "wait until each endpoint has answered `N` checks in a row "+
		"with 503: as many as the load balancer's threshold, times those who check; with --max-unavailable also, 3 unless "+
		"given, with success, before the next goes")
	cmd.Flags().DurationVar(&l.quiet, "quiet", 30*time.Second,
		"an endpoint to which no check comes for so long is not waited for: more than the load balancer's interval")
}

func (l *leaving) check(cmd *cobra.Command, wait time.Duration) error {
	if l.back = l.checks; !cmd.Flags().Changed("wait-checks") {
		l.back = 3
	}
	switch {
	case l.quiet <= 0:
		return &render.OptionError{Flag: "quiet", What: l.quiet.String() + " is not a time to wait"}
	case cmd.Flags().Changed("quiet") && l.checks == 0 && !cmd.Flags().Changed("wait-checks") &&
		!cmd.Flags().Changed("max-unavailable"):
		return &render.OptionError{Flag: "quiet", What: "is for --wait-checks"}
	case cmd.Flags().Changed("quiet") && l.checks > 0 && l.quiet > wait:
		return &render.OptionError{Flag: "quiet", What: fmt.Sprintf("%s is more than the %s that all may take: "+
			"an endpoint that nobody asks would never count as seen", l.quiet, wait)}
	}
	return nil
}

func (l *leaving) any() bool { return l.checks > 0 || l.idle || l.drain }

func newShutdown() *cobra.Command {
	s := switching{stepwise: true}
	cmd := &cobra.Command{
		Use:   "shutdown [KEY]",
		Short: "Take instances out of rotation, and drain them, before they end",
		Long: `Goes through the end of an instance in the order in which no request fails, and says each step:

  closed     health checks get 503: by /healthcheck/fail, or by the maintenance KEY, where maintenance on writes it
  seen       each endpoint has answered so many checks in a row with 503, as the plugin counts them (--wait-checks);
             an endpoint to which no check comes for a time (--quiet) is not waited for
  draining   drain_listeners?graceful: Envoy closes connections, and after its drain time its listeners
  idle       no request has run for a second
  gone       with --quit alone: Envoy has ended

The exit code is 0 when all of it came about for each Envoy. Where one step does not, the next is not begun, and the
message says how the Envoy is left. All of it may be run again. See docs/shutdown.md for preStop hooks.`,
		Example: `  healthgate shutdown --admin 127.0.0.1:9901
  healthgate shutdown --admin unix:///run/envoy/admin.sock --wait-checks 6 --timeout 2m --quit
  healthgate shutdown healthgate.maintenance --runtime-dir /var/lib/envoy/runtime/current --admin 127.0.0.1:9901`,
		Args: takes("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.leaving.check(cmd, s.wait); err != nil {
				return err
			}
			if s.leaving.quit && s.admins.selector != "" {
				return errors.New("--quit: kubectl does not tell whether Envoy has ended; leave it out, and delete the pods then")
			}
			if s.leaving.open != "" && len(args) == 0 {
				return errors.New("--keep-open: is for a KEY; without one Envoy's own health check closes every endpoint")
			}
			s.leaving.idle, s.leaving.drain = true, true
			return s.steps(cmd, args, order.Order{Value: order.On, On: true})
		},
	}
	s.flags(cmd, true)
	s.leaving.flags(cmd, 3)
	s.unavailable.flags(cmd, "with --quit it goes on when they are back, started again by whoever sees to it")
	cmd.Flags().StringVar(&s.leaving.open, "keep-open", "",
		"`NAME` of an endpoint that does not have the KEY, and need not: what the kubelet asks whether a pod is ready")
	cmd.Flags().BoolVar(&s.leaving.quit, "quit", false, "end Envoy then, and wait until it is gone")
	return cmd
}

func newRelease() *cobra.Command {
	s := switching{stepwise: true, coming: true}
	var override bool
	cmd := &cobra.Command{
		Use:   "release [KEY]",
		Short: "Open instances that started closed, when their probes hold",
		Long: `Waits until as many probes are up as each endpoint needs (holding), opens the instance, and waits until its
health checks get success (open). It ends Envoy's own /healthcheck/fail, with which an Envoy starts whose flags_path
has a file drain; or the maintenance KEY, as maintenance off does.

What it can't know: whether drain_listeners was posted to this Envoy before, as shutdown does. Until the listeners
close, Envoy shows that nowhere, and nothing takes it back: start such an Envoy again.`,
		Example: `  healthgate release --admin 127.0.0.1:9901
  healthgate release healthgate.maintenance --override --admin 127.0.0.1:9901    # a key in the static layer`,
		Args: takes("KEY"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := order.Order{}
			if override {
				o.Value = order.Off
			}
			if override && len(args) == 0 {
				return errors.New("--override: is for a KEY")
			}
			return s.steps(cmd, args, o)
		},
	}
	s.flags(cmd, true)
	cmd.Flags().BoolVar(&override, "override", false,
		"set KEY to false instead of taking it out, over what earlier layers say")
	return cmd
}

// steps carries an order for a key out, or without one does the same by Envoy's own health check.
func (s *switching) steps(cmd *cobra.Command, args []string, o order.Order) error {
	signal.Ignore(syscall.SIGPIPE) // who no longer listens does not stop what is under way
	s.admins.orDefault()
	key, err := s.key(cmd, args, true)
	if err != nil {
		return err
	}
	o.Steps = true
	if len(args) > 0 {
		o.Key = key
	} else if s.layer != nil {
		return fmt.Errorf("%s: is where a KEY is written, and none is given", s.flag())
	}
	return s.order(cmd, o)
}

// results returns how it went, with the steps that came about.
func (c *carrying) results() []order.State {
	for i := range c.states {
		c.states[i].Steps = c.steps[i]
	}
	return c.states
}

// step notes what has come about with an Envoy, and says it at once where people read it.
func (c *carrying) step(i int, name, what string) {
	c.steps[i] = append(c.steps[i], order.Step{Name: name, What: what})
	if c.output == "json" {
		return
	}
	c.say.Lock()
	defer c.say.Unlock()
	fmt.Fprintf(c.progress, "%s: %s: %s\n", printable(c.clients[i].Name), name, printable(what))
}

// lostError is of an Envoy of which it is not known whether it is still as it was.
type lostError struct{ error }

// stopped says why an Envoy did not come to a step, and how it is left as far as that is known.
func (c *carrying) stopped(ctx context.Context, i int, next string, err error) {
	did := func(name string) bool {
		return slices.ContainsFunc(c.steps[i], func(s order.Step) bool { return s.Name == name })
	}
	it := "it"
	if c.admins.selector != "" { // the address of one pod holds as long as its forwarded port
		it = "all that --selector names"
	}
	back := "do it again, or take " + it + " back: " + c.undo() + " " + c.clients[i].Flags
	look := "`" + document.Shell("healthgate", "status") + " " + c.clients[i].Flags + "` tells how it is now"
	var opened *order.OpenError
	isOpen, left := errors.As(err, &opened), "nothing was changed"
	if c.written {
		if left = c.reads() + ": " + back; c.coming {
			left = c.reads() + ": do it again"
		}
	}
	switch {
	case isOpen && did(order.Draining) && !opened.Another:
		left = "its health checks may get success, and it drains, which can't be taken back: close it again, or end it"
	case isOpen:
		left = "its health checks may get success"
	case errors.As(err, new(lostError)) && (did(order.Draining) || next == order.Draining):
		left = "when it was asked last, its health checks failed, and it may drain, which can't be taken back; " + look
	case errors.As(err, new(lostError)):
		left = "when it was asked last, its health checks failed; " + look + "; " + back
	case next == order.Back:
		left = look
	case next == order.Gone:
		left = "it drains, and may be ending"
	case did(order.Draining):
		left = "its health checks fail, and it drains, which can't be taken back: do it again, or end it"
	case next == order.Draining:
		left = "its health checks fail, and it may drain: do it again, or end it"
	case did(order.Closed) && c.states[i].Until != nil:
		left = "its health checks fail until " + report.Moment(c.states[i].Until, time.Now()) + ": " + back
	case did(order.Closed):
		left = "its health checks fail, and stay so: " + back
	case next == order.Closed:
		left = "its health checks may fail: " + back
	case next == order.Opened:
		left = "it may open yet"
	}
	if c.order.Key != "" && len(c.steps[i]) > 0 { // what was known of it is of before
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askAgain)
		defer cancel()
		notes := c.states[i].Notes
		c.states[i] = order.Ask(ctx, c.clients[i], c.order.Key, c.route).State
		c.states[i].Notes = notes
	}
	what := err.Error()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		what = "interrupted: " + what
	case ctx.Err() != nil && next != "":
		what = fmt.Sprintf("not %s in the time that was given: %s", next, what)
	}
	c.states[i].Error = what + "; " + left
}

// finish waits until an Envoy has what was written, or had already, and for what follows.
func (c *carrying) finish(ctx context.Context, i int, already bool) {
	c.states[i] = c.envoys[i].Wait(ctx, c.order, c.kind, c.checks(i))
	if !already && !c.within(ctx, i, c.takeBack(i)) {
		return
	}
	name := order.Closed
	if c.coming {
		name = order.Opened
	}
	switch {
	case !c.stepwise && !c.leaving.any() && !c.rolling():
		return
	case c.states[i].Error != "":
		c.stopped(ctx, i, name, errors.New(c.states[i].Error))
		return
	case c.coming:
		if err := c.envoys[i].WaitOpen(ctx, true, true); err != nil {
			c.stopped(ctx, i, name, err)
			return
		}
	}
	if c.coming {
		c.states[i].Notes = append(c.states[i].Notes, c.envoys[i].Doubts...)
		c.step(i, name, "by the key "+c.order.Key+drains)
	} else {
		c.step(i, name, "by the key "+c.order.Key)
		c.leave(ctx, i)
	}
}

// takeBack returns what ends the order with an Envoy.
func (c *carrying) takeBack(i int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		e, o := c.envoys[i], order.Order{Key: c.order.Key, Route: c.route}
		state, sent := e.Post(ctx, o)
		if sent {
			state = e.Wait(ctx, o, c.kind, nil)
		}
		if c.states[i] = state; state.Error != "" {
			return errors.New(state.Error)
		}
		return nil
	}
}

// note adds notes to those of an Envoy, each once.
func (c *carrying) note(i int, notes ...string) {
	for _, note := range notes {
		if !slices.Contains(c.states[i].Notes, note) {
			c.states[i].Notes = append(c.states[i].Notes, note)
		}
	}
}

// drains is what Envoy's admin does not show in any way.
const drains = "; if drain_listeners was posted to it before, which can't be seen, its listeners still close"

// leave goes through what follows when an Envoy's health checks get 503.
func (c *carrying) leave(ctx context.Context, i int) {
	e, l := c.envoys[i], c.leaving
	checks := lifecycle.Checks{Need: l.checks, Quiet: l.quiet}
	for _, next := range []struct {
		wanted bool
		name   string
		do     func() (string, error)
	}{
		{l.checks > 0, order.Seen, func() (string, error) { return e.WaitChecks(ctx, &checks, c.order.Key != "") }},
		{l.drain, order.Draining, func() (string, error) { return e.Drain(ctx) }},
		{l.idle, order.Idle, func() (string, error) { return "no request runs", e.WaitIdle(ctx) }},
		{l.quit, order.Gone, func() (string, error) { return "POST /quitquitquit", e.Quit(ctx) }},
	} {
		if !next.wanted {
			continue
		}
		what, err := next.do()
		if next.name != order.Gone {
			closed := e.StaysClosed(ctx, c.order, c.kind)
			switch {
			case errors.As(closed, new(*order.OpenError)):
				err = closed
			case closed != nil:
				err = lostError{cmp.Or(err, closed)}
			}
			if c.order.Key != "" {
				notes := c.states[i].Notes
				c.states[i], c.states[i].Notes = e.State, notes
			}
		} else if err == nil { // and what it said is no more
			c.states[i] = order.State{Envoy: e.State.Envoy, Key: c.order.Key, Notes: c.states[i].Notes}
		}
		if c.order.Key == "" {
			c.note(i, e.Past()...) // an update may have brought some
		}
		if err != nil {
			c.stopped(ctx, i, next.name, err)
			return
		}
		c.step(i, next.name, what)
	}
}

// byHealthCheck closes an Envoy by its own health check, or opens it.
func (c *carrying) byHealthCheck(ctx context.Context, i int) {
	e := order.Ask(ctx, c.clients[i], defaultKey, false)
	c.envoys[i], c.states[i] = e, order.State{Envoy: e.State.Envoy}
	switch {
	case e.State.Error != "" || c.twice(i) != "":
		c.stopped(ctx, i, "", errors.New(cmp.Or(e.State.Error, c.twice(i))))
	case c.coming && c.holds(ctx, i):
		if err := e.Open(ctx); err != nil {
			c.stopped(ctx, i, order.Opened, err)
			return
		}
		c.states[i].Notes = e.Doubts
		c.step(i, order.Opened, "POST /healthcheck/ok"+drains)
	case c.coming:
	case e.Stays(false, "") != "":
		c.stopped(ctx, i, "", errors.New(e.Stays(false, "")))
	default:
		c.note(i, e.Past()...)
		if err := e.Fail(ctx); err != nil {
			c.stopped(ctx, i, order.Closed, err)
			return
		}
		c.step(i, order.Closed, "POST /healthcheck/fail")
		if c.within(ctx, i, e.Open) {
			c.leave(ctx, i)
		}
	}
}

// hold waits for the probes of all Envoys before a key is changed that they may share.
func (c *carrying) hold(ctx context.Context) bool {
	c.each(func(i int) {
		_ = c.ask(ctx, i) && c.holds(ctx, i)
	})
	all := !slices.ContainsFunc(c.states, func(s order.State) bool { return s.Error != "" })
	for i := range c.states {
		if !all && c.states[i].Error == "" {
			c.states[i].Error = "nothing was changed: another Envoy is not ready"
		}
	}
	return all
}

// holds waits until an Envoy's probes hold.
func (c *carrying) holds(ctx context.Context, i int) bool {
	what, err := c.envoys[i].WaitProbes(ctx, c.order.Key != "")
	if err != nil {
		c.stopped(ctx, i, order.Holding, err)
		return false
	}
	c.step(i, order.Holding, what)
	return true
}

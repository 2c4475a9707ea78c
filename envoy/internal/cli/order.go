package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/spf13/cobra"
)

// order carries an order out, waits for each Envoy, and shows how it went.
func (s *switching) order(cmd *cobra.Command, o order.Order) error {
	if s.layer != nil {
		if err := layer.CheckRemoval(s.target(), o.Change()); err != nil {
			return fmt.Errorf("%s: %w", s.flag(), err)
		}
	}
	if err := s.unavailable.check(s); err != nil {
		return err
	}
	if s.dryRun && s.output == "json" {
		return errors.New("--dry-run: says it in words; leave out --output")
	}
	n := len(s.clients)
	c := carrying{switching: s, order: o, envoys: make([]*order.Envoy, n), states: make([]order.State, n),
		steps: make([][]order.Step, n), done: make([]time.Time, n), progress: cmd.ErrOrStderr()}
	if s.stepwise {
		c.progress = elsewhere{cmd.OutOrStdout(), cmd.ErrOrStderr()}
	}
	if s.stepwise && s.layer != nil { // which is one for all Envoys, and so is the time
		ctx, cancel := context.WithTimeout(cmd.Context(), s.wait)
		defer cancel()
		cmd.SetContext(ctx)
	}
	switch {
	case o.Key == "":
		c.carry(cmd.Context(), c.byHealthCheck)
		return s.report(cmd, o.Key, c.results())
	case s.coming && s.layer != nil && !c.hold(cmd.Context()):
		return s.report(cmd, o.Key, c.results())
	case s.layer != nil:
		return c.byLayer(cmd)
	case s.dryRun:
		s.plan(cmd.OutOrStdout(), o)
		return nil
	}
	c.carry(cmd.Context(), c.byAdmin)
	return s.report(cmd, o.Key, c.results())
}

// path returns the layer's own, empty for the admin layer.
func (s *switching) path() string { return s.runtimeDir + s.rtdsFile }

// target returns where the keys of the layer are, as far as it is known.
func (s *switching) target() string {
	disk, is := s.layer.(layer.DiskLayer)
	if !is || disk.Subdirectory == nil || filepath.Clean(*disk.Subdirectory) == "." {
		return s.path()
	}
	return strings.TrimRight(s.path(), "/") + "/" + filepath.Clean(*disk.Subdirectory)
}

func (s *switching) flag() string {
	if s.kind == reach.RTDS {
		return "--rtds-file"
	}
	return "--runtime-dir"
}

// carrying is an order that is being carried out, with what is known of each Envoy and how it went.
type carrying struct {
	*switching
	order  order.Order
	envoys []*order.Envoy
	states []order.State
	steps  [][]order.Step // that came about, of each Envoy
	done   []time.Time    // when each was done; zero: it is not

	written  bool      // the layer of all Envoys
	progress io.Writer // says them at once
	say      sync.Mutex
	seen     sync.Map // by process, the first address of it that was asked
	look     look
}

// twice says that an Envoy is one that is asked at another address, too: it would be counted as two that are done.
func (c *carrying) twice(i int) string {
	process, name := c.envoys[i].Process(), c.clients[i].Name
	if process == "" {
		return ""
	}
	if first, seen := c.seen.LoadOrStore(process, name); seen && first != name {
		return fmt.Sprintf("it is the Envoy of %s, at another address: leave one of them out", first)
	}
	return ""
}

// ask asks an Envoy all that the order needs to know, and reports whether anything may come of it there.
func (c *carrying) ask(ctx context.Context, i int) bool {
	e := order.Ask(ctx, c.clients[i], c.order.Key, c.route)
	c.envoys[i], c.states[i] = e, e.State
	if why := c.twice(i); why != "" && !c.stepwise { // its row would be of a moment in between
		if c.leaveOut(i, c.clients[i].Name+": "+why); c.written {
			c.states[i].Left, c.states[i].Error = false, why
		}
		return false
	}
	why := cmp.Or(c.twice(i), e.Refuses(c.order, c.kind, c.checks(i)))
	if why == "" && c.stepwise && !c.coming {
		why = e.Stays(true, c.leaving.open)
	}
	if c.states[i].Error = why; why != "" && c.stepwise {
		c.stopped(ctx, i, "", errors.New(why))
	}
	return why == ""
}

// checks returns the checks that verify an Envoy.
func (c *carrying) checks(i int) []string {
	if len(c.clients) > 1 && len(c.verify) > 0 {
		return c.verify[i : i+1]
	}
	return c.verify
}

// byAdmin switches an Envoy by its admin layer.
func (c *carrying) byAdmin(ctx context.Context, i int) {
	if !c.ask(ctx, i) || c.coming && !c.holds(ctx, i) {
		c.cut(ctx, i, false)
		return
	}
	already, sent := c.envoys[i].Has(c.order, c.kind), true
	if !already {
		c.states[i], sent = c.envoys[i].Post(ctx, c.order)
	}
	if sent {
		c.finish(ctx, i, already)
	}
	c.states[i].Already = already
	c.cut(ctx, i, !already)
}

// leaveOut says why nothing was changed with an Envoy.
func (c *carrying) leaveOut(i int, why string) {
	c.states[i] = order.State{Envoy: c.clients[i].Name, Key: c.order.Key, Left: true,
		Error: order.LeftAsItWas + why}
}

var errWritten = errors.New("interrupted: what was written stays, see: healthgate maintenance status, " +
	"with the same KEY and --admin")

// cut says how Ctrl-C left an Envoy that is not as it was ordered to be.
func (c *carrying) cut(ctx context.Context, i int, written bool) {
	if c.states[i].Error == "" || c.stepwise || len(c.steps[i]) > 0 || !errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if c.leaveOut(i, "interrupted"); written {
		c.states[i].Left, c.states[i].Error = false, errWritten.Error()
	}
}

// askTimeout is how long Envoys are asked at most before a layer that is for all of them is written.
const askTimeout = 5 * time.Second

// askAgain is how long it takes at most to ask how an Envoy is that was left in the middle.
const askAgain = 2 * time.Second

// byLayer writes the layer of all Envoys, and waits for each.
func (c *carrying) byLayer(cmd *cobra.Command) error {
	c.each(func(i int) {
		ctx, cancel := context.WithTimeout(cmd.Context(), min(c.wait, askTimeout))
		defer cancel()
		c.ask(ctx, i)
	})
	if errors.Is(cmd.Context().Err(), context.Canceled) {
		for i := range c.states {
			c.cut(cmd.Context(), i, false)
		}
		return c.report(cmd, c.order.Key, c.results())
	}
	refused := len(c.envoys) > 0
	for i, e := range c.envoys {
		refused = refused && e.State.Error == "" && c.states[i].Error != ""
	}
	if refused {
		return c.report(cmd, c.order.Key, c.results()) // nothing would come of it
	}
	if err := c.place(c.envoys); err != nil {
		return fmt.Errorf("%s: %w", c.flag(), err)
	}
	c.order.Path = reach.Canonical(c.path())
	if disk, is := c.layer.(layer.DiskLayer); is && disk.Subdirectory != nil {
		c.order.Folder = *disk.Subdirectory
	}
	made, to := "", c.target()
	if missing(to) {
		made = ", which was not there and was made"
	}
	absent := c.order.Value == "" && !c.layer.Holds(c.order.Key)
	if err := c.apply(cmd.Context()); err != nil {
		if ambiguous := (*layer.AmbiguousError)(nil); errors.As(err, &ambiguous) {
			return fmt.Errorf("--subdirectory: %w", err)
		}
		return failure{err}
	}
	if absent {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s has no key %s to take out; is it another key, or layer, that is on?\n",
			to, c.order.Key)
	}
	if c.dryRun {
		for i, e := range c.envoys {
			if c.states[i].Error != "" {
				continue
			}
			c.note(i, e.Elsewhere(c.order, c.kind, to)...)
		}
		c.plan(cmd.OutOrStdout(), c.order)
		if writeNotes(cmd.ErrOrStderr(), c.states); slices.ContainsFunc(c.states, wrong) {
			return failure{errSilent}
		}
		return nil
	}
	if len(c.clients) == 0 {
		w := cmd.OutOrStdout()
		if c.output == "json" {
			w = cmd.ErrOrStderr()
		}
		until := ""
		if end, err := time.Parse(time.RFC3339, c.order.Value); err == nil {
			until = ", until " + report.Moment(&end, time.Now())
		}
		fmt.Fprintf(w, "written to %s%s%s; no --admin was given, so no Envoy was asked whether it arrived\n",
			printable(to), made, until)
		if c.output == "json" {
			return c.report(cmd, c.order.Key, c.results())
		}
		return nil
	}
	if c.written = true; made != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: written to %s%s\n", printable(to), made)
	}
	c.each(c.timed(func(i int) {
		ctx, cancel := context.WithTimeout(cmd.Context(), c.wait)
		defer cancel()
		if c.states[i].Error == "" || c.ask(ctx, i) { // one of which nothing was to come may read the layer all the same
			c.finish(ctx, i, false)
		}
		switch st := &c.states[i]; {
		case st.Error == "":
			c.note(i, c.envoys[i].Elsewhere(c.order, c.kind, to)...)
		case c.stepwise || absent:
		case st.On == nil:
			st.Error += "; " + c.reads()
		case !c.envoys[i].Arrived() && c.order.On:
			st.Error += fmt.Sprintf("; %s was written, and stays so; to take it back: %s", to, c.undo())
		case !c.envoys[i].Arrived():
			st.Error += fmt.Sprintf("; %s was written, and stays so", to)
		}
		c.cut(ctx, i, true)
	}))
	c.lookAgain(cmd.Context())
	return c.report(cmd, c.order.Key, c.results())
}

// reads says of an Envoy that could not be asked, or is another one's, what has changed.
func (c *carrying) reads() string { return c.path() + " was written, and it may read that" }

// undo is the command that takes back what was done, but for the flags of an Envoy.
func (c *carrying) undo() string {
	if c.order.Key == "" {
		return "healthgate release"
	}
	return document.Shell(append([]string{"healthgate", "maintenance", "off", c.order.Key},
		given("--runtime-dir", c.runtimeDir, "--subdirectory", c.order.Folder, "--rtds-file", c.rtdsFile)...)...)
}

// apply changes the layer, or tries whether it can be changed.
func (c *carrying) apply(ctx context.Context) error {
	if c.dryRun {
		return c.layer.Try(c.order.Change())
	}
	return c.layer.Apply(ctx, c.order.Change())
}

// place finds where in the Envoys' layers the key belongs, and refuses a path that is not one of their layers.
func (s *switching) place(envoys []*order.Envoy) error {
	path := s.path()
	var layers, same []reach.Layer
	for _, e := range envoys {
		if known := e.Known(); known != nil {
			layers = append(layers, known.Of(s.kind)...)
		}
	}
	for _, l := range layers {
		if l.At(reach.Canonical(path)) {
			same = append(same, l)
		}
	}
	if missing(path) && len(layers) > 0 && len(same) == 0 {
		with := ""
		if folder := layers[0].Folder; folder != "" && s.subdirectory == "" {
			with = ", and with " + document.Shell("--subdirectory", folder)
		}
		return fmt.Errorf("%s is not there, and what the Envoys read is %s; if it is that by another name, "+
			"as in a container, write to it once without --admin%s",
			path, layers[0].SymlinkRoot+layers[0].File, with)
	}
	if s.kind == reach.RTDS && missing(path) && len(same) > 0 && same[0].Resource != layer.RTDSName {
		return fmt.Errorf("%s is not there, and would be made with the resource %s, while Envoy's layer reads the resource "+
			"%s of it: make it with that first", path, layer.RTDSName, same[0].Resource)
	}
	disk, is := s.layer.(layer.DiskLayer)
	if is && disk.Subdirectory != nil && len(same) > 0 && !slices.ContainsFunc(same, func(l reach.Layer) bool {
		return filepath.Clean(l.Folder) == filepath.Clean(*disk.Subdirectory)
	}) {
		var folders []string
		for _, l := range same {
			folders = append(folders, l.Source())
		}
		if folders = slices.Compact(folders); len(folders) > 1 {
			return fmt.Errorf("Envoy has its keys in %s, and not in %s: say which with --subdirectory",
				strings.Join(folders, " and "), s.target())
		}
		return fmt.Errorf("Envoy has its keys in %s, and not in %s: leave out --subdirectory", folders[0], s.target())
	}
	if !is || disk.Subdirectory != nil {
		return nil
	}
	if len(same) == 0 {
		same = layers // its path may be another one inside a container
	}
	for _, l := range same {
		if disk.Subdirectory != nil && *disk.Subdirectory != l.Folder {
			return fmt.Errorf("the Envoys' disk layers have their keys in different folders, %q and %q: "+
				"say which with --subdirectory",
				*disk.Subdirectory, l.Folder)
		}
		disk.Subdirectory = &l.Folder
	}
	s.layer = disk
	return nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// plan says what order would do.
func (s *switching) plan(w io.Writer, o order.Order) {
	if where := s.target(); s.layer != nil {
		if missing(where) {
			where += ", which is not there and would be made"
		}
		for _, p := range o.Change() {
			if p.Value == "" {
				fmt.Fprintf(w, "take %s out of %s\n", p.Key, where)
			} else {
				fmt.Fprintf(w, "write %s=%s to %s\n", p.Key, p.Value, where)
			}
		}
	}
	for _, c := range s.clients {
		if s.layer == nil {
			fmt.Fprintf(w, "POST %s to %s\n", admin.ModifyPath(o.Change().Pairs()...), c.Name)
		}
		fmt.Fprintf(w, "wait up to %s until %s says so\n", s.wait, c.Name)
	}
	for _, url := range s.verify {
		fmt.Fprintf(w, "send a check to %s until it gets the answer\n", report.Shown(url))
	}
}

// each does something with all Envoys.
func (s *switching) each(do func(i int)) { s.admins.each(len(s.clients), s.releasing(do)) }

// releasing does something with an Envoy, and ends what is kept for it.
func (s *switching) releasing(do func(i int)) func(i int) {
	return func(i int) {
		defer s.clients[i].Close()
		do(i)
	}
}

// report shows how it went, also after Ctrl-C.
func (s *switching) report(cmd *cobra.Command, key string, states []order.State) error {
	if s.output == "json" {
		_ = writeJSON(cmd.OutOrStdout(), states, "  ")
	} else {
		s.table(cmd, key, states)
	}
	switch {
	case s.stepwise || !errors.Is(cmd.Context().Err(), context.Canceled):
	case slices.ContainsFunc(states, func(st order.State) bool { return st.Error == errWritten.Error() }):
		return failure{errWritten}
	default:
		return failure{errInterrupted}
	}
	if slices.ContainsFunc(states, wrong) {
		return failure{errSilent}
	}
	return nil
}

func wrong(st order.State) bool { return st.Error != "" }

func (s *switching) table(cmd *cobra.Command, key string, states []order.State) {
	var rows [][]cell
	if !s.stepwise && slices.ContainsFunc(states, func(st order.State) bool { return !st.Left }) {
		rows = stateRows(key, states)
	}
	writeTable(cmd.OutOrStdout(), "", rows)
	writeNotes(cmd.ErrOrStderr(), states)
	if len(states) > 1 {
		fmt.Fprintln(cmd.OutOrStdout(), printable(order.Summary(states)))
	}
}

func stateRows(key string, states []order.State) [][]cell {
	rows := [][]cell{plain("ENVOY", key, "UNTIL", "REASON", "LAYER", "ENDPOINTS IN MAINTENANCE")}
	for _, st := range states {
		if st.Left {
			continue // the summary counts them
		}
		word := cell{"?", red}
		if st.On != nil {
			if word = (cell{"off", green}); *st.On {
				word = cell{"on", yellow}
			}
		}
		in := cmp.Or(strings.Join(st.Endpoints, ", "), "-")
		if st.Endpoints == nil {
			in = "?"
		}
		rows = append(rows, []cell{{text: st.Envoy}, word, {text: report.Moment(st.Until, time.Now())},
			{text: cmp.Or(st.Reason, "-")}, {text: cmp.Or(st.Layer, "-")}, {text: in}})
	}
	return rows
}

// writeNotes writes what else there is to say of each Envoy.
func writeNotes(w io.Writer, states []order.State) {
	for _, st := range states {
		for _, note := range st.Notes {
			fmt.Fprintf(w, "note: %s: %s\n", printable(st.Envoy), printable(note))
		}
		if st.Error != "" && (!st.Left || len(states) == 1) { // else the sum says it
			fmt.Fprintf(w, "%s %s: %s\n", paint(w, red, "error:"), printable(st.Envoy), printable(st.Error))
		}
	}
}

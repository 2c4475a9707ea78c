// Package merge puts healthgate into the configuration of an Envoy that is there: its filter and gate, the clusters of
// the probes and of admin, the runtime layers, the labels of metrics. All text that is not changed stays as it is,
// comments, anchors and spelling included. What cannot be merged is refused, with its line.
package merge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// Options are what a merge needs besides healthgate.yaml.
type Options struct {
	render.Common
	Gate      string   // render.ByRoute, also when empty, or render.ByMatcher
	Admin     string   // the address of an admin to add where there is none; empty for none
	Listen    string   // the address of a listener to add, for checks alone; empty for none
	Metrics   string   // the address of a listener to add, for Prometheus; empty for none
	Listeners []string // which get the filter; empty for all that lead to the application
	Clusters  []string // NAME=ADDRESS, of probes

	several []*document.Problem // routes with another key for a path than RouteKeys
	judging bool                // nothing is written: what works as well is right, too
}

// Result is what a merge made.
type Result struct {
	Bootstrap string             // its name
	Files     []File             // all that were given, changed or not
	Document  *document.Document // as the filter has it now
	Warnings  []*document.Problem
	Notes     []*document.Problem
	// Changes say what was missing or not as it is to be, and was put right.
	Changes []*document.Problem
}

// merger is one pass over the files.
type merger struct {
	Options
	*envoy
	d             *document.Document
	pieces        *render.Pieces
	all           []*manager
	adminAddress  *yaml.Node   // nil when there is no admin
	made          []*yaml.Node // clusters
	madeListeners []*yaml.Node
	done          map[*yaml.Node]bool
	warnings      []*document.Problem
	notes         []*document.Problem
	changes       []*document.Problem
}

func optionError(flag, format string, args ...any) error {
	return &render.OptionError{Flag: flag, What: fmt.Sprintf(format, args...)}
}

func (m *merger) warn(c cursor, n *yaml.Node, format string, args ...any) {
	m.warnings = append(m.warnings, c.problem(n, format, args...))
}

func (m *merger) changed(c cursor, n *yaml.Node, format string, args ...any) {
	m.changes = append(m.changes, c.problem(n, format, args...))
}

func (m *merger) note(c cursor, n *yaml.Node, format string, args ...any) {
	m.notes = append(m.notes, c.problem(n, format, args...))
}

// Merge merges a document into the files of an Envoy, of which one is its bootstrap. What it made it merges again, to
// see that all of it is there: then nothing changes.
func Merge(d *document.Document, files []File, o Options) (*Result, error) {
	var err error
	if o.RuntimeDir, err = render.RuntimeDir(o.RuntimeDir); err != nil {
		return nil, err
	}
	out, err := merge(d, files, o)
	if err != nil {
		return nil, err
	}
	for range 3 { // what one merge took out may be what it went by
		again, err := merge(d, out.Files, o)
		if err != nil {
			return nil, fmt.Errorf("what was merged can't be merged again, which is a mistake of this command: %w", err)
		}
		if slices.Equal(out.Files, again.Files) {
			return out, nil
		}
		out.Files, out.Document = again.Files, again.Document
	}
	return nil, fmt.Errorf("%s: each merge changes what the last one wrote, which is a mistake of this command: "+
		"take healthgate's filter and routes out, and merge again", out.Bootstrap)
}

func merge(d *document.Document, files []File, o Options) (*Result, error) {
	for {
		m := &merger{Options: o, d: d, done: map[*yaml.Node]bool{}}
		var err error
		if m.envoy, err = read(files); err != nil {
			return nil, err
		}
		again, err := m.pass()
		if err != nil {
			return nil, err
		}
		out := &Result{Bootstrap: m.bootstrap.Name, Document: m.d, Warnings: sorted(m.warnings), Notes: sorted(m.notes),
			Changes: sorted(m.changes)}
		for i, s := range m.files {
			if s.unfit != nil {
				return nil, s.unfit
			}
			f := File{s.Name, s.write()}
			if read, err := parse(f); err != nil || !reflect.DeepEqual(plain(read.root), s.meant(s.root)) ||
				s.json && json.Valid([]byte(s.Text)) && !json.Valid([]byte(f.Text)) {
				return nil, fmt.Errorf("%s: the text that was merged says something else than was meant, which is a mistake of "+
					"this command, so nothing is written: write lists without brackets, and comments on lines of their own", s.Name)
			}
			if f.Text == s.Text {
				f = files[i] // with all escapes that it has
			}
			out.Files = append(out.Files, f)
		}
		if !again {
			return out, nil
		}
		files = out.Files
	}
}

// pass makes the changes for which the others have to wait, and reports so, or else all others.
func (m *merger) pass() (again bool, err error) {
	m.adminAddress = reachable(m.root().get("admin", "address"))
	if m.Listen != "" {
		address, err := render.Address("listen", m.Listen)
		if err != nil {
			return false, err
		}
		listener := render.Listener(address)
		if there, err := m.there("listen", m.Listen, listener); err != nil {
			return false, err
		} else if !there {
			if !wrap(m.root().get("static_resources", "listeners")) {
				m.addTo("static_resources", mapping("listeners", listOf(m.bootstrap.spelt(listener))))
			}
			return true, nil
		}
	}
	for _, step := range []func() error{m.managers, m.choose, m.different} {
		if err := step(); err != nil {
			return false, err
		}
	}
	if m.unshare() || m.wrapAll() {
		return true, nil
	}
	for _, step := range []func() error{m.admin, m.probed} {
		if err := step(); err != nil {
			return false, err
		}
	}
	if m.pieces, err = render.NewPieces(m.d, m.Common, m.Gate, render.Node{}); err != nil {
		return false, err
	}
	if err := m.sameKeys(); err != nil {
		return false, err
	}
	m.answersGRPC()
	for _, h := range m.all {
		if !h.chosen {
			continue
		}
		if err := cmp.Or(m.filter(h), m.gate(h)); err != nil {
			return false, err
		}
		m.doubts(h)
	}
	if err := m.metrics(); err != nil {
		return false, err
	}
	for _, c := range m.made {
		m.changed(m.root(), nil, "the cluster %q is missing", find(c, "name").Value)
	}
	for _, l := range m.madeListeners {
		m.changed(m.root(), nil, "the listener %q is missing", find(l, "name").Value)
	}
	m.addTo("static_resources", mapping("listeners", listOf(m.madeListeners...), "clusters", listOf(m.made...)))
	m.layers()
	m.tags()
	m.placeholders()
	return false, nil
}

const metricsPath = "/stats/prometheus"

// metrics adds a listener for Prometheus.
func (m *merger) metrics() error {
	listener, err := render.Metrics(m.d, m.Metrics)
	if err != nil || listener == nil {
		return err
	}
	shown := m.root().list("admin", "allow_paths")
	if len(shown) > 0 && !slices.ContainsFunc(shown, func(path cursor) bool {
		exact := path.text("exact")
		return exact == metricsPath || exact == "" && strings.HasPrefix(metricsPath, path.text("prefix"))
	}) {
		return shown[0].problem(shown[0].n, "admin does not show %s, which --metrics-listen leads to; add it to allow_paths",
			metricsPath)
	}
	there, err := m.there("metrics-listen", m.Metrics, listener)
	if !there && err == nil {
		m.madeListeners = append(m.madeListeners, m.bootstrap.spelt(listener))
	}
	return err
}

// there reports whether a new listener is there already, by its name. It refuses one of that name at another address,
// and another one at its address.
func (m *merger) there(flag, address string, listener *yaml.Node) (bool, error) {
	for _, l := range m.listeners {
		switch at := l.get("address"); {
		case m.name(l) != find(listener, "name").Value:
		case bound(at) != bound(cursor{source: m.bootstrap, n: find(listener, "address")}):
			return true, at.problem(at.n, "the listener %q has another address than --%s %s; change it here",
				m.name(l), flag, address)
		default:
			return true, nil
		}
	}
	return false, m.free(flag, address)
}

// free refuses the address of a new listener where Envoy listens already, or would.
func (m *merger) free(flag, address string) error {
	admin := m.root().get("admin")
	if !admin.get("address").is() && render.Overlap(address, m.Admin) {
		return optionError(flag, "%q is --admin, too; give each its own", address)
	}
	for _, at := range m.addresses() {
		every := at.text("socket_address", "ipv4_compat") == "true" &&
			render.Overlap(address, net.JoinHostPort("0.0.0.0", at.text("socket_address", "port_value")))
		if every || render.Overlap(address, bound(at)) {
			return at.problem(at.n, "Envoy listens here, and would at --%s %s, too; give that another address", flag, address)
		}
	}
	return nil
}

// addresses returns those at which admin and listeners take connections of TCP, or by a Unix socket.
func (m *merger) addresses() (out []cursor) {
	for _, l := range append([]cursor{m.root().get("admin")}, m.listeners...) {
		for _, of := range append([]cursor{l}, l.list("additional_addresses")...) {
			at := of.get("address")
			if bound(at) != "" && at.text("socket_address", "port_value") != "0" && l.text("bind_to_port") != "false" &&
				at.text("socket_address", "protocol") != "UDP" {
				out = append(out, at)
			}
		}
	}
	return out
}

// bound returns an address as an option has it; "" for one within Envoy, and for none.
func bound(at cursor) string {
	if pipe := at.text("pipe", "path"); pipe != "" {
		return "unix://" + pipe
	}
	if !at.get("socket_address").is() {
		return ""
	}
	return net.JoinHostPort(at.text("socket_address", "address"), at.text("socket_address", "port_value"))
}

// shared says where two listeners, or one and admin, have one address, and two layers are of admin.
func (m *merger) shared() {
	admins := 0
	for _, l := range m.root().list("layered_runtime", "layers") {
		if l.get("admin_layer").n == nil {
			continue
		}
		if admins++; admins > 1 {
			m.changed(l, l.n, "a second layer of admin, and Envoy refuses to start with two: take one out")
		}
	}
	var before []cursor
	for _, at := range m.addresses() {
		for _, other := range before {
			if bound(at) == bound(other) {
				m.changed(at, at.n, "Envoy listens at %s already: give this listener another address", bound(at))
			}
		}
		before = append(before, at)
	}
}

// doubts notes what a connection manager does not take.
func (m *merger) doubts(h *manager) {
	switch codec := h.text("codec_type"); {
	case codec == "HTTP2" || codec == "HTTP3":
		m.note(h.cursor, h.get("codec_type").n, "%s takes %s alone, and most load balancers check by HTTP/1.1",
			h.where, codec)
	case h.text("http_protocol_options", "accept_http_10") != "true":
		m.note(h.cursor, h.n, "%s takes no HTTP/1.0: checks such as HAProxy's default get 426", h.where)
	}
	if m.pieces.GRPC == nil {
		return
	}
	if codec := h.get("codec_type"); codec.is() && codec.n.Value == "HTTP1" {
		m.warn(codec, codec.n, "%s: its codec_type is HTTP1, and gRPC needs HTTP/2: no check of gRPC comes", h.where)
	}
	for _, f := range h.list("http_filters") {
		if users.MatchString(f.text("typed_config", "@type")) {
			m.warn(f, f.n, "%s: checks of gRPC pass the filter %q, too, and get its answer where it refuses them: "+
				"have it let %s pass", h.where, f.text("name"), config.GRPCCheck)
		}
	}
}

// placeholders warns of keys that name something of the node that is not there.
func (m *merger) placeholders() {
	node := m.root().get("node")
	for name, value := range map[string]string{"{node_id}": node.text("id"), "{cluster}": node.text("cluster"),
		"{region}": node.text("locality", "region"), "{zone}": node.text("locality", "zone")} {
		for i := range m.d.Config.Endpoints {
			place := fmt.Sprintf("endpoints[%d].maintenance.keys", i)
			for j, key := range m.d.Strings(place) {
				if strings.Contains(key, name) && value == "" {
					m.warnings = append(m.warnings, m.d.Problem(fmt.Sprintf("%s[%d]", place, j), fmt.Sprintf("the node in %s does "+
						"not say what %s is; give it there, or on Envoy's command line (--service-zone and the like)",
						m.bootstrap.Name, name)))
				}
			}
		}
	}
}

// sorted returns problems in the order of the files and lines, each once.
func sorted(all []*document.Problem) []*document.Problem {
	slices.SortStableFunc(all, func(a, b *document.Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.What, b.What))
	})
	return slices.CompactFunc(all, func(a, b *document.Problem) bool { return a.Error() == b.Error() })
}

// Plain returns what files hold, as JSON holds it.
func Plain(files []File) (out []any) {
	for _, f := range files {
		if s, err := parse(f); err == nil {
			out = append(out, plain(s.root))
		}
	}
	return out
}

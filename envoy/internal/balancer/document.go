package balancer

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Pieces returns what docs/load-balancers.md shows of the table, by the names of its places: "all" is the overview,
// the others are named as the balancers.
func Pieces() map[string]string {
	all := "| `--as` | load balancer | takes for healthy | a check every | leaves after | returns after |\n" +
		"|---|---|---|---|---|---|\n"
	out := map[string]string{}
	for _, b := range All() {
		every := "its interval"
		if b.Interval > 0 {
			every = short(b.Interval)
		}
		all += fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", b.Name, b.Title, b.Success, every,
			b.Leaves(false).Text("failed"), b.Returns().Text("good"))
		out[b.Name] = b.piece()
	}
	out["all"] = all
	return out
}

// piece shows a check of an example, and where it is said.
func (b *Balancer) piece() string {
	example := &url.URL{Scheme: "http", Host: "10.0.3.17:8080", Path: cmp.Or(b.Path, "/healthz")}
	wire := strings.ReplaceAll(b.Check(example, "10.0.3.5", ""), "\r", "")
	out := "```http\n" + strings.TrimSuffix(wire, "\n") + "```\n\nSources:"
	for i, s := range b.Sources {
		if i > 0 {
			out += ","
		}
		u, _ := url.Parse(s.URL)
		place := cmp.Or(u.Fragment, path.Base(u.Path))
		out += fmt.Sprintf("\n[%s: %s](%s) (%s)", u.Hostname(), place, s.URL, s.Read)
	}
	out += ".\n"
	if b.Keeps {
		out += "The connection is kept for the next check.\n"
	}
	if b.Believed != "" {
		out += "Believed, not documented: " + b.Believed + ".\n"
	}
	return out
}

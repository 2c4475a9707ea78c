package status

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 999 * time.Millisecond: "999 ms", time.Second: "1 s", 59*time.Second +
			999*time.Millisecond: "59 s",
		time.Minute: "1 min 0 s", time.Hour - time.Second: "59 min 59 s", time.Hour: "1 h 0 min",
		24*time.Hour - time.Second: "23 h 59 min",
		24 * time.Hour:             "1 d 0 h", 99*24*time.Hour + 5*time.Hour: "99 d 5 h",
	} {
		if got := age(int64(d)); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"1970-01-01T00:00:00Z", "2026-03-04T05:06:07Z", "2024-02-29T23:59:59Z",
		"2262-04-11T23:47:16Z"} {
		at, err := time.Parse(time.RFC3339, want)
		if err != nil {
			t.Fatal(err)
		}
		if got := timestamp(at.UnixNano()); got != want {
			t.Errorf("%s is written as %s", want, got)
		}
	}
}

func TestWantsHTML(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/health+json": false, "application/json": false, "text/plain": false,
		"text/html": true, "TEXT/HTML": true, "text/*": true, "text/html;charset=utf-8": true, " text/html ; q=0.5 ": true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8": true,
		"text/html;q=0": false, "text/html; Q=0.000": false, "text/html;q=0.5,application/json": false,
		"application/json;q=0.5, text/html;q=0.6": true, "application/health+json, text/html": true,
		"application/*;q=0.9,text/html;q=0.8": false, "text/html;q=x": true, "text/html;q=": true, "text/html;q=0.x": true,
		"text/html;q=0.5x": true, "text/html;q=1.000": true, "text/html;q=0.": false,
		"text/html;q=0.05, application/json;q=0.049": true, "text/html;q=0.5, application/json;q=0.51": false,
		"text/htmlx": false, ",;q=1,": false,
	} {
		if got := WantsHTML(accept); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// hostile is a document with a text in each place where one from outside may stand.
func hostile(t testing.TB, text string) *Document {
	w := newWorld(t, settings)
	w.record.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: text, Reason: text}
	w.config.Keys[0] = text
	w.config.Admin.Cluster = text
	w.record.Runtime.At = 0
	return Describe(w.config, config.Node{ID: text}, w.record, clock{})
}

// Whatever stands in a reason, a key, its value, or the node's id: the page's tags stay the same, nothing but them has
// a tag's characters, and the JSON gives the text back.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "new disk", "<script>alert(1)</script>", `" onload="x`, "' onload='x", "</title><b>", "&lt;", "&", "<!--", "]]>",
		"\x00\x01\x1f\x7f\u0085", "\u2028\u2029", "\u202eevil", "\xff\xfe", "é\xc3", "日本", "\\", "\\u003c", "a\nb\tc\r",
	} {
		f.Add(s)
	}
	tags := tag.FindAllString(string(hostile(f, "x").HTML(false)), -1)
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			text = "x" // no reason is no line, so there would be other tags
		}
		doc := hostile(t, text)
		page := string(doc.HTML(false))
		if got := tag.FindAllString(page, -1); !slices.Equal(got, tags) {
			t.Errorf("%q: the page's tags are %q", text, got)
		}
		body := page[strings.Index(page, "<title>"):]
		body = body[:strings.Index(body, "<style>")] + body[strings.Index(body, "</style>"):]
		if rest := tag.ReplaceAllString(body, ""); strings.ContainsAny(rest, "<>\"'\x00\u202e") || !utf8.ValidString(rest) {
			t.Errorf("%q: the page's text is %q", text, rest)
		}
		whole := doc.JSON()
		if !json.Valid(whole) || strings.ContainsAny(string(whole), "<>&\x1b\u009b\u202e") || !utf8.Valid(whole) {
			t.Fatalf("%q: %s", text, whole)
		}
		p := read(t, whole)
		m, _ := p.Checks["shop:verdict"][0]["maintenance"].(map[string]any)
		if want := strings.ToValidUTF8(text, "\ufffd"); m["key"] != valid(text) || m["value"] != valid(text) ||
			m["reason"] != valid(text) || p.ServiceID != valid(text) {
			t.Errorf("%q comes back as %v, node %q; want %q", text, m, p.ServiceID, want)
		}
	})
}

// valid replaces each byte that is not UTF-8.
func valid(s string) string { return string([]rune(s)) }

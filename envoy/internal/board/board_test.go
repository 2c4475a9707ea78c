package board

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestBoard puts reports on a board of the Envoys a, b and c, each with how long ago it was asked for, and gets paths.
// Of the page it shows what is behind the style.
func TestBoard(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)
	b := New(10 * time.Second)
	b.List([]string{"a", "b", "c"})
	datadriven.RunTest(t, "testdata/board.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "list":
			b.List(strings.Fields(d.Input))
			return ""
		case "stale":
			b.Stale(d.Input)
			return ""
		case "put":
			var r report.Report
			must.Do(t, json.Unmarshal([]byte(d.Input), &r))
			var ago string
			d.ScanArgs(t, "ago", &ago)
			age := must.Get(time.ParseDuration(ago))(t)
			b.Put(r, now.Add(-age))
			return ""
		}
		w := httptest.NewRecorder()
		b.Handler(func() time.Time { return now }).ServeHTTP(w, httptest.NewRequest(d.Cmd, d.CmdArgs[0].Key, nil))
		if w.Code != http.StatusOK {
			return http.StatusText(w.Code) + " " + w.Header().Get("Allow") + "\n"
		}
		body := w.Body.String()
		if head, main, is := strings.Cut(body, "<body>"); is {
			head, _, _ = strings.Cut(head, "<style>")
			body = head + "\n" + main
		}
		return body
	})
}

// One Envoy at two addresses is two lines, of which the second says so, each time.
func TestTwoAddresses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := New(time.Second)
	b.List([]string{"a", "b"})
	b.Put(report.Report{Envoy: "a", Process: "one"}, now)
	b.Put(report.Report{Envoy: "b", Process: "one"}, now)
	for range 2 {
		got, _ := b.seen(now)
		if len(got[0].Notes) != 0 || len(got[1].Notes) != 1 || !strings.Contains(got[1].Notes[0], "the Envoy of a") {
			t.Errorf("%q, %q", got[0].Notes, got[1].Notes)
		}
	}
}

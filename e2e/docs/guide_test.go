package docs

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// tip is a line of what `make run` prints: what it is about, what a health check then gets, and a command or a URL.
var tip = regexp.MustCompile(`^  (\S.*?)(?: {2,}(\d{3}))? {2,}(\S.*)$`)

// tryGuide types each line of what `make run` says to try, in its order.
func (r *reader) tryGuide(said string) {
	t := r.t
	t.Helper()
	ask := r.change.Replace("curl -i http://127.0.0.1:10000/my-service/healthcheck\n")
	check := func(status string) {
		t.Helper()
		envoytest.Eventually(t, envoytest.Limit, "the check gets "+status, func() error {
			return r.run(ask, "HTTP/1.1 "+status+" …\n…\n")
		})
	}
	for _, command := range []string{"maintenance on", "maintenance off", "status --admin", "--watch"} {
		if !strings.Contains(said, command) {
			t.Errorf("it does not say %q", command)
		}
	}
	for line := range strings.SplitSeq(said, "\n") {
		if !strings.HasPrefix(line, "  ") {
			continue
		}
		m := tip.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("there is nothing to try in %q", line)
			continue
		}
		switch what, do := m[1], m[3]; {
		case strings.HasPrefix(do, "http://"):
			must.Do(t, browse(t, do))
		case strings.HasSuffix(do, " --watch"):
			r.leave(what, do, "…\n ENDPOINT CHECKS GET WHY\n…\n ENDPOINT CHECKS GET WHY\n…\n")
		default:
			must.Do(t, r.run(do, "…\n"))
		}
		if m[2] != "" {
			check(m[2])
		}
	}
	check("200")
}

// browse opens a page.
func browse(t testing.TB, url string) error {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/html")
	a, err := envoytest.Read(envoytest.Client.Do(request))
	if kind := a.Header.Get("Content-Type"); err == nil && !strings.HasPrefix(kind, "text/html") {
		err = fmt.Errorf("%s is %s", url, kind)
	}
	return err
}

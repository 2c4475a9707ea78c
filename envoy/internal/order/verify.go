package order

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/config"
)

// CheckURL refuses what can't be the URL of a health check.
func CheckURL(s string) error {
	if scheme, rest, _ := strings.Cut(s, "://"); strings.Contains(scheme+strings.SplitN(rest, "/", 2)[0], "@") {
		return errors.New("a URL holds no login, which lists of processes and logs would show: a check has none")
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "" {
		return fmt.Errorf("%q is not http://HOST:PORT/PATH", s)
	}
	return nil
}

// checker sends each check on a connection of its own, as many balancers do, and like them it trusts any certificate.
var checker = &http.Client{
	Timeout:       5 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // see above
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// verify sends one check, and says what its answer lacks of an order: for on it is the endpoint's maintenance reply, for
// off another one.
func (e *Envoy) verify(ctx context.Context, o Order, to string) problem {
	endpoint, want := e.checked(to), config.Reply{Status: http.StatusServiceUnavailable}
	if endpoint == nil {
		endpoint = &config.Endpoint{}
	} else {
		want = endpoint.Maintenance.Reply
	}
	request, err := reach.Request(ctx, endpoint, to)
	if err != nil {
		return problem{err.Error(), true}
	}
	method := request.Method
	response, err := checker.Do(request)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return problem{what: fmt.Sprintf("the check %s %s: %v", method, to, err)}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return problem{what: fmt.Sprintf("the check %s %s: %v", method, to, err)}
	}
	is := response.StatusCode == int(want.Status) && (method == http.MethodHead || e.known == nil || string(body) == want.Body)
	if is == o.On {
		return problem{}
	}
	got := strings.TrimSpace(response.Status + " " + firstLine(body))
	if o.On {
		return problem{what: fmt.Sprintf("the check %s %s gets %s, and in maintenance it is %d %s: is this machine's address one that the endpoint trusts?",
			method, to, got, want.Status, firstLine([]byte(want.Body)))}
	}
	return problem{what: fmt.Sprintf("the check %s %s still gets %s", method, to, got)}
}

// misfit says why a check would tell nothing of the key; "" when it does, or that is not known.
func (e *Envoy) misfit(to string) string {
	endpoint := e.checked(to)
	switch {
	case e.known == nil:
	case endpoint == nil:
		return fmt.Sprintf("--verify: no health check has the path of %s", to)
	case !slices.Contains(e.readers(), endpoint.Name):
		return fmt.Sprintf("--verify: the endpoint %q has the path of %s, and %s does not switch it", endpoint.Name, to, e.key)
	}
	return ""
}

// checked returns the health check that a URL is for; nil when there is none, or that is not known. Of several that have its
// path, it is the one that has its host, or else one that the key switches.
func (e *Envoy) checked(to string) (out *config.Endpoint) {
	u, err := url.Parse(to)
	if err != nil || e.known == nil {
		return nil
	}
	readers := e.readers()
	for _, p := range e.known.Plugins {
		for i := range p.Config.Endpoints {
			endpoint := &p.Config.Endpoints[i]
			switch {
			case endpoint.Kind != config.KindHealthCheck || !slices.Contains(endpoint.Paths, u.EscapedPath()):
			case slices.Contains(endpoint.Hosts, strings.ToLower(u.Hostname())):
				return endpoint
			case out == nil || !slices.Contains(readers, out.Name) && slices.Contains(readers, endpoint.Name):
				out = endpoint
			}
		}
	}
	return out
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(string(body), "\n")
	if len(line) > 80 {
		line = line[:80] + "…"
	}
	return line
}

package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
)

// requests looks for demands that no request meets, beyond those of which the plugin itself warns.
func (l *linter) requests(i int) {
	e := &l.c.Endpoints[i]
	for j, path := range e.Paths {
		if strings.Contains(path, "//") || slices.ContainsFunc(strings.Split(path, "/"), isDots) {
			l.warn(fmt.Sprintf("endpoints[%d].paths[%d]", i, j),
				"%q is met only where the connection manager neither normalizes paths "+
					"nor merges slashes", path)
		}
	}
	for j, method := range e.Methods {
		if method == "CONNECT" {
			l.warn(fmt.Sprintf("endpoints[%d].methods[%d]", i, j), "such a request has no path")
		}
	}
	for j := range e.Headers {
		m := &e.Headers[j]
		place := fmt.Sprintf("endpoints[%d].headers[%d]", i, j)
		if strings.Contains(m.Value, "*") {
			l.warn(place, "%q has a '*', which stands for itself; use prefix, suffix or contains", m.Value)
		}
		if what := byEnvoy(m); what != "" {
			l.warn(place, "%q %s", m.Name, what)
		}
		for k := range j {
			if contradict(&e.Headers[k], m) {
				l.warn(place,
					"no request meets this and headers[%d], and all must be met; alternatives are endpoints of their own", k)
				break
			}
		}
	}
}

// internalOnly are headers that Envoy takes away from a request that it does not take for an internal one.
var internalOnly = strings.Fields(`x-envoy-decorator-operation x-envoy-downstream-service-cluster
	x-envoy-downstream-service-node x-envoy-expected-rq-timeout-ms x-envoy-force-trace x-envoy-hedge-on-per-try-timeout
	x-envoy-internal x-envoy-ip-tags x-envoy-max-retries x-envoy-original-host x-envoy-original-path
	x-envoy-original-url x-envoy-retriable-header-names x-envoy-retriable-status-codes x-envoy-retry-grpc-on
	x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
	x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-stream-duration-ms`)

// byEnvoy says what Envoy does to a header before a filter sees the request; "" for nothing.
func byEnvoy(m *config.HeaderMatcher) string {
	switch {
	case slices.Contains([]string{"x-request-id", "x-forwarded-proto"}, m.Name):
		if m.Kind == config.Absent || m.Kind == config.Present {
			return "is in each request: Envoy puts it there"
		}
	case m.Kind == config.Absent:
	case m.Name == "x-forwarded-client-cert":
		return "is taken away by Envoy, unless the connection manager's forward_client_cert_details keeps it"
	case m.Name == "expect":
		return "is taken away by Envoy, which answers it itself"
	case slices.Contains(internalOnly, m.Name):
		return "is taken away by Envoy from a request that it does not take for an internal one, by its address"
	}
	return ""
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

// contradict reports whether no header can meet both matchers.
func contradict(a, b *config.HeaderMatcher) bool {
	if a.Name != b.Name {
		return false
	}
	if a.Kind == config.Absent || b.Kind == config.Absent {
		return a.Kind != b.Kind
	}
	if a.Kind > b.Kind {
		a, b = b, a // exact comes first
	}
	x, y := a.Value, b.Value
	if a.IgnoreCase || b.IgnoreCase {
		x, y = strings.ToLower(x), strings.ToLower(y)
	}
	switch [2]config.MatchKind{a.Kind, b.Kind} {
	case [2]config.MatchKind{config.Exact, config.Exact}:
		return x != y
	case [2]config.MatchKind{config.Exact, config.Prefix}:
		return !strings.HasPrefix(x, y)
	case [2]config.MatchKind{config.Exact, config.Suffix}:
		return !strings.HasSuffix(x, y)
	case [2]config.MatchKind{config.Exact, config.Contains}:
		return !strings.Contains(x, y)
	case [2]config.MatchKind{config.Prefix, config.Prefix}:
		return !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x)
	case [2]config.MatchKind{config.Suffix, config.Suffix}:
		return !strings.HasSuffix(x, y) && !strings.HasSuffix(y, x)
	}
	return false
}

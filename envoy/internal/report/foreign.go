package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/filter/config"
)

// question is a request to a status endpoint.
type question struct {
	endpoint *config.Endpoint // nil when its configuration is not known
	shut     bool             // no gate lets it in, as the configuration says
	from     string           // the address it came from
}

// foreign says who answered in the place of a status endpoint, as far as the answer tells.
func (q *question) foreign(response *http.Response, body []byte) string {
	text := string(bytes.TrimSpace(body))
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	line, _, _ := strings.Cut(text, "\n")
	got := strings.TrimSpace(response.Status + " " + line)
	switch who := Who(response, body); {
	case q.refused(response, body):
		return "the plugin does not trust " + q.from + " there: " + got
	case who == wentOn:
		return who + ": " + got + "; " + q.why()
	case who != "":
		return who + ": " + got
	}
	return fmt.Sprintf("what came is no status document (server: %q): %s; %s", response.Header.Get("Server"), got, q.why())
}

const wentOn = "the request went on to the application"

// Who says who gave an answer in the place of the plugin; "" where the answer does not tell.
func Who(response *http.Response, body []byte) string {
	text := string(bytes.TrimSpace(body))
	isEnvoy := response.Header.Get("Server") == "envoy" && response.Header.Get("X-Envoy-Upstream-Service-Time") == ""
	switch {
	case strings.HasPrefix(text, "envoy overloaded"):
		return "Envoy is overloaded and refuses each request before any filter"
	case response.Header.Get("X-Envoy-Upstream-Service-Time") != "",
		strings.HasPrefix(text, "upstream "), strings.HasPrefix(text, "no healthy upstream"):
		return wentOn
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return "a redirect to " + response.Header.Get("Location")
	case isEnvoy && response.StatusCode == http.StatusNotFound && text == "":
		return "as where no route of Envoy's takes its host and path"
	case isEnvoy && strings.HasPrefix(text, "RBAC:"):
		return "as where Envoy's RBAC filter refuses it"
	case isEnvoy && response.StatusCode == http.StatusTooManyRequests:
		return "as where Envoy's rate limit refuses it"
	case ByEnvoy(response, body):
		return "as Envoy answers for a plugin that does not run (see its log)"
	}
	return ""
}

// ByEnvoy reports whether an answer is as that of Envoy alone, for a plugin that does not run.
func ByEnvoy(response *http.Response, body []byte) bool {
	return response.StatusCode == http.StatusServiceUnavailable && len(body) == 0 &&
		response.Header.Get("Server") == "envoy" && response.Header.Get("X-Envoy-Upstream-Service-Time") == ""
}

// refused reports whether an answer is what the endpoint has for whom it does not trust.
func (q *question) refused(response *http.Response, body []byte) bool {
	return q.endpoint != nil && !q.endpoint.Untrusted.Pass && response.StatusCode == int(q.endpoint.Untrusted.Status) &&
		string(body) == q.endpoint.Untrusted.Body && response.Header.Get("X-Envoy-Upstream-Service-Time") == ""
}

// why says why the plugin let a request go on.
func (q *question) why() string {
	switch {
	case q.shut:
		return "the gate keeps it out of the plugin"
	case q.endpoint != nil && q.endpoint.Trusted.Set != nil && q.endpoint.Trusted.Set.ContainsPeer(q.from, false):
		return "the endpoint trusts " + q.from +
			", so the request did not come to the plugin: another route or filter answers"
	case q.endpoint != nil:
		return "is " + q.from + " in the endpoint's trusted list?"
	}
	return "is the path a status endpoint's, " + q.from + " in its trusted list, the path in the gate, " +
		"and does it ask for neither hosts nor headers that this request lacks?"
}

// unansweredError is of a request that got no answer.
type unansweredError struct{ error }

// refusedError is of an answer that the asked Envoy's plugin gave to whom it does not trust.
type refusedError struct{ error }

// unanswered says what a request met that got no answer.
func unanswered(err error) error {
	var outer *url.Error // it repeats the URL
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		err = errors.New("connection refused: nobody listens there, seen from here")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), strings.Contains(err.Error(), "server closed"),
		strings.Contains(err.Error(), "malformed HTTP"):
		err = errors.New("the connection was closed without an answer in HTTP/1.1: a limit of connections, " +
			"or a listener that wants HTTP/2, TLS or the PROXY protocol")
	case strings.HasPrefix(err.Error(), "failed to parse Location header"):
		err = errors.New("a redirect to what is no address")
	case errors.As(err, &timeout) && timeout.Timeout():
		err = errors.New("no answer in time")
	default: // of its name, or of TLS
		err = admin.Explain(context.Background(), err)
	}
	return unansweredError{err}
}

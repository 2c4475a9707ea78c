package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

const isAdmin = "is this Envoy's admin address?"

const noAnswer = "an Envoy that is starting answers when it has compiled its plugins; " +
	"a forwarded port, or a proxy, may lead to nobody"

// GoneError is of a request that nobody took: where an Envoy was, there is none.
type GoneError struct{ error }

func (e *GoneError) Unwrap() error { return e.error }

// Explain says of a request that had no answer what is in the way.
func Explain(ctx context.Context, err error) error {
	var outer *url.Error // it repeats the address
	if errors.As(err, &outer) {
		err = outer.Err
	}
	text := err.Error()
	var timeout net.Error
	var name *net.DNSError
	var other x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case strings.HasPrefix(text, "failed to parse Location header"): // which may hold a login
		return errors.New("answers with a redirect to what is no address; none is followed: " +
			"give the address that answers itself")
	case errors.Is(ctx.Err(), context.DeadlineExceeded): // the time that the caller has, not that of one request
		return errors.New("no answer in time: give it more; " + noAnswer)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time: " + noAnswer)
	case errors.Is(err, syscall.ECONNREFUSED):
		return &GoneError{errors.New("connection refused: is Envoy running, and " + isAdmin)}
	case errors.Is(err, fs.ErrNotExist):
		return &GoneError{errors.New("there is no such Unix socket: is Envoy running, and " + isAdmin)}
	case errors.As(err, &name):
		return fmt.Errorf("the name %s has no address: %s", name.Name, name.Err)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return errors.New("its certificate is of an authority that is not trusted here: " +
			"give the authority's certificate, --admin-ca-file FILE")
	case errors.As(err, &invalid):
		return fmt.Errorf("its certificate does not count: %s", strings.TrimPrefix(invalid.Error(), "x509: "))
	case errors.As(err, &other):
		return fmt.Errorf("%s: give the address that its certificate names", strings.TrimPrefix(other.Error(), "x509: "))
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), errors.As(err, new(tls.RecordHeaderError)):
		return errors.New("speaks no TLS: write http:// instead of https://")
	case strings.Contains(text, "remote error: tls: expired certificate"):
		return errors.New("refuses TLS: the client's certificate, --admin-cert-file, has expired")
	case strings.Contains(text, "remote error: tls: "):
		_, alert, _ := strings.Cut(text, "remote error: tls: ")
		return fmt.Errorf("refuses TLS, %s: does it want a client's certificate "+
			"(--admin-cert-file, --admin-key-file) of another authority?", alert)
	case strings.Contains(text, `malformed HTTP response "\x15\x03`): // an alert
		return errTLS
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "transport connection broken"):
		return errors.New("does not speak HTTP/1.1: " + isAdmin)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err,
		syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errClosed
	}
	return err
}

var errClosed = errors.New("closed the connection without an answer")

var errTLS = errors.New("speaks TLS: write https:// instead of http://")

// explain is that of an Envoy which has perhaps answered before: then its address is right.
func (c *Client) explain(ctx context.Context, err error) error {
	if err = Explain(ctx, err); errors.Is(err, errClosed) && !c.known.Load() {
		return fmt.Errorf("%w: %s Does it want https:// or http://?", errClosed, isAdmin)
	}
	return err
}

// hidden takes the login out of what a server says.
func (c *Client) hidden(text string) string {
	if c.access.secrets == nil {
		return text
	}
	return c.access.secrets.Replace(text)
}

// answered says what is in the way of a request that was answered, but not as Envoy's admin answers it.
func (c *Client) answered(method, path string, response *http.Response, body []byte) error {
	text := c.hidden(strings.TrimSpace(string(body)))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	path, _, _ = strings.Cut(path, "?")
	said := fmt.Sprintf("%s %s was answered %d", method, path, response.StatusCode)
	login := "it wants a login: give --admin-auth-file FILE, or set " + LoginVariable
	if c.access.authorization != "" {
		login = "the login that was sent is refused"
	}
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return fmt.Errorf("%s: %s", said, login)
	case status >= 300 && status < 400:
		if to, err := response.Location(); err == nil {
			said += " with a redirect to " + c.hidden(to.Scheme+"://"+to.Host+to.Path)
		}
		return errors.New(said + "; none is followed: give the address that answers itself")
	case status == http.StatusForbidden && strings.HasPrefix(text, "request to path "): // as Envoy says it
		said += ": its admin.allow_paths has to have it"
		if path == "/runtime" {
			said += "; the plugin asks for it, too, and checks get 503 without it"
		}
		return errors.New(said)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %s", said, isAdmin)
	case status == http.StatusBadRequest && strings.Contains(text, "HTTPS"): // as Go and nginx say it
		return errTLS
	}
	return errors.New(strings.TrimSpace(said + " " + text))
}

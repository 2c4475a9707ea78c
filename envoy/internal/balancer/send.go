package balancer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// patience is how long an answer may take where the balancer's timeout is not known.
const patience = 10 * time.Second

// Sent is a check that was sent, and what came of it.
type Sent struct {
	Answer

	Wire string         // what was sent; empty where there was no connection
	From netip.AddrPort // where it came from
	Took time.Duration
	// Upstream is whether the answer has a header that Envoy adds to what its upstream answered.
	Upstream bool
}

// Send sends a check as the balancer does, on a connection of its own, from an address of this machine unless it is
// the zero one. Like balancers, it takes any certificate.
func (b *Balancer) Send(ctx context.Context, u *url.URL, from netip.Addr, host string) (s Sent) {
	start, limit := time.Now(), b.Timeout
	if limit == 0 {
		limit = patience
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := b.send(ctx, u, from, host, &s); err != nil {
		s.Status, s.Failure = 0, failure(err, limit)
	}
	s.Took = time.Since(start)
	return s
}

func (b *Balancer) send(ctx context.Context, u *url.URL, from netip.Addr, host string, s *Sent) error {
	var dialer net.Dialer
	if from.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: from.AsSlice(), Zone: from.Zone()}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	s.From, _ = netip.ParseAddrPort(conn.LocalAddr().String())
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}) //nolint:gosec // see above
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	source := s.From.Addr().String()
	if s.From.Addr().Is6() {
		source = "[" + source + "]"
	}
	wire := b.Check(u, source, host)
	if _, err := io.WriteString(conn, wire); err != nil {
		return err
	}
	s.Wire = wire
	method, _, _ := strings.Cut(wire, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)); err != nil {
		return err
	}
	s.Status, s.Upstream = response.StatusCode, response.Header.Get("x-envoy-upstream-service-time") != ""
	return nil
}

// failure says why there is no answer.
func failure(err error, limit time.Duration) string {
	var network *net.OpError
	var name *net.DNSError
	var system *os.SyscallError
	var family *net.AddrError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", short(limit))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without a whole answer"
	case errors.As(err, &name):
		return name.Error()
	case errors.As(err, &family):
		return "no answer: the URL has no address of the kind of the source"
	case errors.As(err, &system):
		return "no answer: " + system.Err.Error()
	case errors.As(err, &network):
		return "no answer: " + network.Err.Error()
	}
	return "no answer: " + err.Error()
}

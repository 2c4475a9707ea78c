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

// read is how much of a body is read: what the kubelet reads. Others do not say.
const read = 10 << 10

// patience is how long an answer may take where the balancer's timeout is not known.
const patience = 10 * time.Second

// Sent is a check that was sent, and what came of it.
type Sent struct {
	Answer

	Wire string         // what was sent; empty where there was no connection
	From netip.AddrPort // where it came from
	Took time.Duration
	Body string // of the answer, its first 10 kB; empty where it was redirected
	// Upstream is whether the answer has a header that Envoy adds to what its upstream answered.
	Upstream bool
	Followed string // the URL of the last redirect that was followed
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
	once := transport(func(r *http.Request) (*http.Response, error) { return b.send(r, from, &s) })
	do := once
	if b.Follows {
		do = (&http.Client{Transport: once, CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if to.URL.Hostname() != u.Hostname() {
				return http.ErrUseLastResponse
			}
			if s.Followed = to.URL.String(); len(via) == 10 {
				return errors.New("more than 9 redirects")
			}
			return nil
		}}).Do
	}
	request := &http.Request{URL: u, Host: host, Header: http.Header{}}
	if response, err := do(request.WithContext(ctx)); err != nil {
		s.Failure = failure(err, limit)
	} else {
		s.Status, s.Upstream = response.StatusCode, response.Header.Get("x-envoy-upstream-service-time") != ""
	}
	s.Took = time.Since(start)
	return s
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip makes it one of http.Client, which knows how redirects are followed.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// send sends the check of a request's URL, whose Host stands for the balancer's own where it has one.
func (b *Balancer) send(r *http.Request, from netip.Addr, s *Sent) (*http.Response, error) {
	u, ctx := r.URL, r.Context()
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
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	s.From, _ = netip.ParseAddrPort(conn.LocalAddr().String())
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}) //nolint:gosec // see above
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	source := s.From.Addr().String()
	if s.From.Addr().Is6() {
		source = "[" + source + "]"
	}
	wire := b.Check(u, source, r.Host)
	if _, err := io.WriteString(conn, wire); err != nil {
		return nil, err
	}
	s.Wire = wire
	method, _, _ := strings.Cut(wire, " ")
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && response.StatusCode < http.StatusOK && response.StatusCode != http.StatusSwitchingProtocols {
		response, err = http.ReadResponse(in, &http.Request{Method: method}) // that was on the way to the answer
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, read))
	if err != nil {
		return nil, err
	}
	s.Body = string(body)
	response.Request, response.Body = r, http.NoBody // closing what was there would read on to its end
	return response, nil
}

// failure says why there is no answer.
func failure(err error, limit time.Duration) string {
	var network *net.OpError
	var name *net.DNSError
	var system *os.SyscallError
	var client *url.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", short(limit))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without a whole answer"
	case errors.As(err, &name):
		return name.Error()
	case errors.As(err, &system):
		return "no answer: " + system.Err.Error()
	case errors.As(err, &network):
		return "no answer: " + network.Err.Error()
	}
	if errors.As(err, &client) {
		err = client.Err
	}
	return "no answer: " + err.Error()
}

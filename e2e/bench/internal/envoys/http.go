package envoys

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// The client opens a connection for each request, so that none is kept when a server goes.
var client = clientFrom("127.0.0.1")

// clientFrom returns a client whose requests come from a loopback address.
func clientFrom(ip string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext},
	}
}

// Get returns the status and the body of an answer.
func Get(ctx context.Context, url string) (int, string, error) { return getBy(ctx, client, url) }

// GetFrom does the same from another loopback address, such as 127.0.0.2.
func GetFrom(ctx context.Context, ip, url string) (int, string, error) {
	return getBy(ctx, clientFrom(ip), url)
}

func getBy(ctx context.Context, c *http.Client, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	return readBy(c, req)
}

func read(req *http.Request) (int, string, error) { return readBy(client, req) }

func readBy(c *http.Client, req *http.Request) (int, string, error) {
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Until asks again until the URL answers with the status and the body, for no longer than the limit.
func Until(ctx context.Context, limit time.Duration, url string, status int, body string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		gotStatus, gotBody, err := Get(ctx, url)
		if err == nil && gotStatus == status && gotBody == body {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s answered %d %q (%w), not %d %q, for %s", url, gotStatus, gotBody, err, status, body, limit)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

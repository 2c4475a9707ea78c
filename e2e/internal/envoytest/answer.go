package envoytest

import (
	"fmt"
	"io"
	"net/http"
)

// Answer is a response as a client sees it.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// Read reads a response to its end: Read(client.Get(url)).
func Read(response *http.Response, err error) (Answer, error) {
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, string(body), response.Header}, err
}

// ClientFrom returns a client whose requests come from an address of this machine, through a connection of their own
// each, or through one that is kept.
func ClientFrom(source string, kept bool) *http.Client {
	return &http.Client{Timeout: Limit, Transport: &http.Transport{DialContext: DialerFrom(source, Limit).DialContext,
		DisableKeepAlives: !kept, DisableCompression: true, MaxIdleConnsPerHost: 1}}
}

func (a Answer) String() string { return fmt.Sprintf("%d %q %v", a.Status, a.Body, a.Header) }

// Said is the answer in short, "200 OK": its status and its body.
func (a Answer) Said() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// Says returns an error unless the answer has the status and the body.
func (a Answer) Says(status int, body string) error {
	if a.Status != status || a.Body != body {
		return fmt.Errorf("answered %v, not %d %q", a, status, body)
	}
	return nil
}

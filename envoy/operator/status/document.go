package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// document is what a status endpoint answers, see docs/status.md.
type document struct {
	ServiceID string        `json:"serviceId"`
	Notes     []string      `json:"notes"`
	Checks    orderedChecks `json:"checks"`
}

type check struct {
	ComponentID   string          `json:"componentId"`
	Status        string          `json:"status"`
	ObservedValue json.RawMessage `json:"observedValue"`
	Time          *time.Time      `json:"time"`
	Since         *time.Time      `json:"since"`
	HTTPStatus    int             `json:"httpStatus"`
	Outcome       string          `json:"outcome"`
	Output        string          `json:"output"`
	Maintenance   *Maintenance    `json:"maintenance"`

	measurement string
}

// orderedChecks keeps the order of the document: that of the configuration.
type orderedChecks []check

func (o *orderedChecks) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var list []check
		if err := d.Decode(&list); err != nil {
			return err
		}
		for _, c := range list {
			full, _ := name.(string)
			c.measurement = strings.TrimPrefix(full, c.ComponentID+":")
			*o = append(*o, c)
		}
	}
	return nil
}

var client = &http.Client{
	Timeout:       2 * time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// CheckURL refuses what can't be the URL of a status endpoint.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if scheme, rest, _ := strings.Cut(s, "://"); strings.Contains(scheme+strings.SplitN(rest, "/", 2)[0], "@") {
		return errors.New("a URL holds no login, which lists of processes and logs would show: a status endpoint trusts addresses")
	}
	if strings.Contains(s, ",http") {
		return fmt.Errorf("%q is several URLs: repeat the flag for each", s)
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "" {
		return fmt.Errorf("%q is not http://HOST:PORT/PATH", s)
	}
	return nil
}

// ask fills in what a status endpoint answers.
func (r *Report) ask(ctx context.Context, url, host string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Host = host
	request.Header.Set("Accept", "application/health+json")
	response, err := client.Do(request)
	if err != nil {
		return unwrap(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return err
	}
	var d document
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/health+json") || json.Unmarshal(body, &d) != nil {
		return fmt.Errorf("%s, and no application/health+json; is this address in the endpoint's trusted list?", response.Status)
	}
	r.StatusURL = url
	r.Notes = append(r.Notes, d.Notes...)
	if r.Node == "" {
		r.Node = d.ServiceID
	}
	for _, c := range d.Checks {
		r.fromCheck(c)
	}
	return nil
}

// unwrap drops the URL that net/http repeats in its errors.
func unwrap(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

func (r *Report) fromCheck(c check) {
	number := func() *int64 {
		var n int64
		if json.Unmarshal(c.ObservedValue, &n) != nil {
			return nil
		}
		return &n
	}
	switch c.measurement {
	case "verdict":
		e := r.endpoint(c.ComponentID)
		*e = Endpoint{Name: e.Name, HTTPStatus: c.HTTPStatus, Output: c.Output, Maintenance: c.Maintenance}
		_ = json.Unmarshal(c.ObservedValue, &e.Verdict) // not there: not known
		if c.Status == "pass" {
			e.Output = "" // that a route may say otherwise, which is a note, too
		}
	case "responseTime":
		p := r.probe(c.ComponentID)
		*p = Probe{Name: p.Name, Since: c.Since, Status: c.HTTPStatus, Outcome: c.Outcome, LatencyMS: number(), LastAsked: c.Time}
		if c.Status != "warn" {
			healthy := c.Status == "pass"
			p.Healthy = &healthy
		}
	case "draining":
		var draining bool
		if r.Draining = nil; json.Unmarshal(c.ObservedValue, &draining) == nil {
			r.Draining = &draining
		}
	case "age":
		if c.ComponentID == "snapshot" {
			r.SnapshotAgeMS = number()
		}
	}
}

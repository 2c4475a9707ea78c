package report

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// document is what a status endpoint answers, see docs/status.md.
type document struct {
	ServiceID   string        `json:"serviceId"`
	Description string        `json:"description"`
	Notes       []string      `json:"notes"`
	Checks      orderedChecks `json:"checks"`
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

// newClient returns a client that trusts by a configuration of TLS. Each request has a connection of its own, as many
// balancers' checks have.
func newClient(trust *tls.Config) *http.Client {
	return &http.Client{
		Timeout:       5 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Anyone takes any certificate, as balancers do: whether the answer is the asked Envoy's is judged by what it says,
// and by what this Envoy counts.
var Anyone = newClient(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // see above

// Send sends a request, and reads its answer.
func Send(client *http.Client, request *http.Request) (*http.Response, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, unanswered(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, nil, unanswered(err)
	}
	return response, body, nil
}

// Shown is a URL for people and logs: what follows the ? may be a secret.
func Shown(url string) string {
	before, _, has := strings.Cut(url, "?")
	return before + map[bool]string{true: "?…"}[has]
}

// CheckURL refuses what can't be the URL of a check or a status endpoint.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if scheme, rest, _ := strings.Cut(s, "://"); strings.Contains(scheme+strings.SplitN(rest, "/", 2)[0], "@") {
		return errors.New("a URL holds no login, which lists of processes and logs would show: the plugin trusts addresses")
	}
	if strings.Contains(s, ",http") {
		return fmt.Errorf("%q is several URLs: repeat the flag for each", Shown(s))
	}
	if strings.Contains(s, " ") {
		return fmt.Errorf("%q: a space in a URL is written %%20", Shown(s))
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !admin.IsHost(u.Hostname()) || u.Path == "" {
		return fmt.Errorf("%q is not http://HOST:PORT/PATH", Shown(s))
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return fmt.Errorf("%q: %s is not a port", Shown(s), u.Port())
	}
	return nil
}

// fetch asks a status endpoint.
func fetch(ctx context.Context, client *http.Client, to string, q question) (*document, error) {
	endpoint := q.endpoint
	if endpoint == nil {
		endpoint = &config.Endpoint{}
	}
	request, err := reach.Request(ctx, endpoint, to)
	if err != nil {
		return nil, err
	}
	q.from = "this machine"
	request = request.WithContext(httptrace.WithClientTrace(ctx,
		&httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			if host, _, err := net.SplitHostPort(c.Conn.LocalAddr().String()); err == nil {
				q.from = host
			}
		}}))
	request.Header.Set("Accept", "application/health+json")
	request.Header.Set("Cache-Control", "no-cache")
	response, body, err := Send(client, request)
	if err != nil {
		return nil, err
	}
	if age := admin.Aged(response); age != "" {
		return nil, fmt.Errorf("a cache answered, with what was so %s s ago", age)
	}
	var d document
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/health+json") ||
		json.Unmarshal(body, &d) != nil ||
		!strings.Contains(d.Description, "healthgate") {
		return nil, errors.New(q.foreign(response, body))
	}
	return &d, nil
}

// ask asks a status endpoint of an Envoy, and refuses what another Envoy answered: the address may lead to one, by a
// forwarded port or on another machine. An id alone does not tell two Envoys apart, but only the asked one counts the
// answer: without a metric that does, it is not known who answered.
func (s *asked) ask(ctx context.Context, envoy *admin.Client, to string, c *config.Config,
	q question) (d *document, err error) {
	shown := Counter(q.endpoint.Name, verdict.Shown.String())
	untrusted := Counter(q.endpoint.Name, verdict.Untrusted.String())
	for attempt := range 4 {
		before, counts := s.gauges[shown]
		refused := s.gauges[untrusted]
		d, err = fetch(ctx, Anyone, to, q)
		if errors.As(err, new(unansweredError)) {
			return nil, err
		}
		_ = s.stats(ctx, envoy)
		if err != nil && s.gauges[untrusted] > refused {
			err = refusedError{err}
		}
		if err != nil {
			return nil, err
		}
		switch what := s.contradicts(d, c); {
		case d.ServiceID != s.node.ID:
			return nil, fmt.Errorf("the node %q answered, which is another Envoy", d.ServiceID)
		case counts && s.gauges[shown] < before && attempt < 3: // it was reset
		case counts && s.gauges[shown] <= before:
			return nil, fmt.Errorf("another Envoy with the same id answered, %q: this one was not asked", d.ServiceID)
		case !counts:
			return nil, fmt.Errorf("whether this Envoy answered is not known: no metric of it counts the answer, and "+
				"another one may have its id, %q", d.ServiceID)
		case what == "":
			return d, nil
		case attempt == 3:
			return nil, fmt.Errorf("the answer contradicts its %s: did another Envoy answer?", what)
		}
		select { // something changes, and a gauge follows a little later
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return d, err
}

// contradicts says of what another thing is told than by admin; "" when all agrees.
func (s *asked) contradicts(d *document, c *config.Config) string {
	var told, configured []string
	for i := range c.Endpoints {
		if c.Endpoints[i].Kind == config.KindHealthCheck {
			configured = append(configured, "verdict "+c.Endpoints[i].Name)
		}
	}
	for i := range c.Probes {
		configured = append(configured, "responseTime "+c.Probes[i].Name)
	}
	for _, check := range d.Checks {
		gauge, on := "", false
		switch check.measurement {
		case "verdict":
			told = append(told, "verdict "+check.ComponentID)
			gauge, on = InMaintenance+check.ComponentID, string(check.ObservedValue) == `"maintenance"`
		case "responseTime":
			told = append(told, "responseTime "+check.ComponentID)
			if check.Status != "warn" { // what is too old to go by is no news to a gauge
				gauge, on = probeUp+check.ComponentID, check.Status == "pass"
			}
		case "draining":
			if check.ObservedValue != nil {
				gauge, on = IsDraining, string(check.ObservedValue) == "true"
			}
		}
		// Several plugins share the gauges of what they name alike, also with one that drains.
		if value, is := s.gauges[gauge]; is && on != (value > 0) && len(s.known.Plugins) == 1 &&
			Drains(s.gauges, s.known) == "" {
			return "metric " + gauge
		}
	}
	if !slices.Equal(told, configured) {
		return "configuration"
	}
	return ""
}

// Counter is the counter of the checks that an endpoint has answered by a verdict.
func Counter(endpoint, verdict string) string { return Checks + endpoint + ".verdict." + verdict }

// take takes what a status endpoint answered.
func (r *Report) take(listener, url string, d *document) {
	r.StatusURLs = append(r.StatusURLs, url)
	for _, note := range d.Notes {
		r.note(note)
	}
	for _, c := range d.Checks {
		r.fromCheck(listener, c)
	}
}

func (r *Report) fromCheck(listener string, c check) {
	number := func() *int64 {
		var n int64
		if json.Unmarshal(c.ObservedValue, &n) != nil {
			return nil
		}
		return &n
	}
	switch c.measurement {
	case "verdict":
		e := r.endpoint(listener, c.ComponentID)
		before := *e
		*e = Endpoint{Listener: listener, Name: e.Name, Source: "plugin", HTTPStatus: c.HTTPStatus, Output: c.Output,
			Maintenance: c.Maintenance, Unsure: before.Unsure}
		_ = json.Unmarshal(c.ObservedValue, &e.Verdict) // not there: not known
		if before.Source == e.Source && before.Verdict != e.Verdict {
			e.Unsure = append(e.Unsure, "another status endpoint says "+before.Verdict)
		}
		if i := strings.Index(c.Output, byRoute); i >= 0 && c.Maintenance == nil {
			e.Output, e.Unsure = strings.TrimSuffix(c.Output[:i], "; "), append(e.Unsure, c.Output[i:])
		}
	case "responseTime":
		p := r.probe(listener, c.ComponentID)
		*p = Probe{Listener: listener, Name: p.Name, Since: c.Since, Status: c.HTTPStatus, Outcome: c.Outcome,
			LatencyMS: number(), LastAsked: c.Time}
		if c.Status != "warn" {
			healthy := c.Status == "pass"
			p.Healthy = &healthy
		}
	case "draining":
		var draining bool
		if r.Draining = nil; json.Unmarshal(c.ObservedValue, &draining) == nil {
			r.Draining = &draining
		} else if c.Output != "" {
			r.note("draining: " + c.Output)
		}
	case "age":
		if c.ComponentID == "snapshot" {
			r.SnapshotAgeMS = number()
		}
		if c.Output != "" {
			r.note(c.ComponentID + ": " + c.Output)
		}
	}
}

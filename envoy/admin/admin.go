// Package admin asks Envoy's admin interface: runtime keys, readiness, counters and gauges.
// Envoy's documentation: operations/admin.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/healthgate/healthgate/filter/config"
)

// Client asks one Envoy. It keeps its connection from one request to the next.
type Client struct {
	Name   string // as it was given
	Flags  string // of the command by which it is reached, as a shell takes them
	base   string // "http://127.0.0.1:9901", with a prefix of paths where one was given
	access Access
	http   *http.Client
	apart  bool        // the address does not lead to where Envoy listens
	known  atomic.Bool // it has answered
	skew   atomic.Int64
	end    func() // ends what its connections need; nil if they need nothing
}

// requestTimeout is how long one request may take.
const requestTimeout = 5 * time.Second

// maxBody bounds what is read of an answer.
const maxBody = 64 << 20

const forms = "http://HOST:PORT, HOST:PORT, https://HOST:PORT or unix:///PATH"

func newClient(name string, access Access) *Client {
	return &Client{Name: name, access: access, http: &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Way is another kind of connections to an admin, which needs something until it is closed.
type Way interface {
	Dial(context.Context) (net.Conn, error)
	Close()
}

// Through returns a client for an admin that is reached by another way.
func Through(name string, access Access, way Way) *Client {
	c := newClient(name, access)
	c.base, c.apart, c.end = "http://envoy", true, way.Close
	c.http.Transport = &http.Transport{IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return way.Dial(ctx) }}
	return c
}

// Close ends what connections need. A later question begins it anew.
func (c *Client) Close() {
	if c.end != nil {
		c.end()
	}
}

// Same reports whether another client asks the same address with the same secrets.
func (c *Client) Same(other *Client) bool {
	return c.Name == other.Name && c.access.authorization == other.access.authorization &&
		c.access.certificates == other.access.certificates
}

// Use has the secrets sent that were read again. Nothing is asked meanwhile.
func (c *Client) Use(access Access) {
	if transport, is := c.http.Transport.(*http.Transport); is && access.certificates != c.access.certificates {
		transport.CloseIdleConnections()
		transport = transport.Clone()
		transport.TLSClientConfig = access.TLS()
		c.http.Transport = transport
	}
	c.access = access
}

// New returns a client for an address, http(s)://HOST:PORT/PREFIX, HOST:PORT or unix:///PATH. It connects to nothing
// yet.
func New(address string, access Access) (*Client, error) {
	dialer := &net.Dialer{}
	c := newClient(address, access)
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: access.tls.Clone(),
		IdleConnTimeout: time.Minute}
	c.http.Transport = transport
	if path, is := strings.CutPrefix(address, "unix://"); is && strings.HasPrefix(path, "/") {
		if len(path) > 107 {
			return nil, fmt.Errorf("%q: the path of a Unix socket has at most 107 bytes, this one %d", address, len(path))
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base, c.apart = "http://envoy", true
		return c, nil
	}
	if strings.Contains(address, "@") {
		// The address is not repeated: it holds a password.
		return nil, fmt.Errorf("an address holds no login, which lists of processes and logs would show: "+
			"write USER:PASSWORD into a file, "+
			"--admin-auth-file FILE, or into %s in the environment", LoginVariable)
	}
	if at := strings.IndexAny(address, "?#"); at >= 0 { // which may be a token
		return nil, fmt.Errorf("%q: leave out the %c and what follows it", address[:at], address[at])
	}
	if strings.HasPrefix(address, "unix:") {
		return nil, fmt.Errorf("%q: a Unix socket is written unix:///PATH", address)
	}
	if strings.ContainsAny(address, ",; ") {
		return nil, fmt.Errorf("%q is several addresses: give each by itself", address)
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if host, _, _ := strings.Cut(address, "]"); err != nil && strings.Contains(host, "%") {
		return nil, fmt.Errorf("%q: a zone is written behind %%25, as in [fe80::1%%25eth0]", c.Name)
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !IsHost(u.Hostname()) || u.Port() == "" {
		return nil, fmt.Errorf("%q is not %s", c.Name, forms)
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return nil, fmt.Errorf("%q: %s is not a port", c.Name, u.Port())
	}
	if access.tls != nil && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: a certificate is for https://", c.Name)
	}
	c.base = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + strings.TrimRight(u.EscapedPath(), "/")
	return c, nil
}

// IsHost reports whether a text may be a host's name or address.
func IsHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || hostName.MatchString(s)
}

var hostName = regexp.MustCompile(`^[\w.-]+$`)

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, []byte, error) {
	return c.send(ctx, c.http, method, path)
}

func (c *Client) send(ctx context.Context, by *http.Client, method, path string) (*http.Response, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, nil, err
	}
	if c.access.authorization != "" {
		request.Header.Set("Authorization", c.access.authorization)
	}
	request.Header.Set("Cache-Control", "no-cache")
	// Each request may be repeated when a kept connection turns out to be closed; the header itself is not sent.
	request.Header["Idempotency-Key"] = nil
	begin := time.Now()
	response, err := by.Do(request)
	if err != nil {
		return nil, nil, c.explain(ctx, err)
	}
	defer response.Body.Close()
	if age := Aged(response); age != "" {
		path, _, _ = strings.Cut(path, "?")
		return nil, nil, fmt.Errorf("%s %s was answered by a cache, as it was %s s ago: "+
			"give the address of Envoy itself, or have the proxy before it keep nothing", method, path, c.hidden(age))
	}
	c.compare(response, begin, time.Now())
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, nil, c.explain(ctx, err)
	}
	if len(body) > maxBody {
		return nil, nil, fmt.Errorf("the answer to %s is longer than %d MB: %s", path, maxBody>>20, isAdmin)
	}
	c.known.Store(true)
	return response, body, nil
}

// Aged returns how many seconds ago an answer was so that a cache had (RFC 9111, section 5.1); "" for one of now.
func Aged(response *http.Response) string { return strings.TrimPrefix(response.Header.Get("Age"), "0") }

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	response, body, err := c.do(ctx, http.MethodGet, path)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, c.answered(http.MethodGet, path, response, body)
	}
	return body, nil
}

// Runtime is what Envoy's runtime says.
type Runtime struct {
	Layers  []string         `json:"layers"` // a later one wins
	Entries map[string]Entry `json:"entries"`
}

// Entry is one runtime key.
type Entry struct {
	Value  string   `json:"final_value"`
	Layers []string `json:"layer_values"` // by layer; empty where a layer does not have the key
}

// Layer returns the name of the layer that decides a key, "" when none has it.
func (r *Runtime) Layer(key string) string {
	values := r.Entries[key].Layers
	for i := len(values) - 1; i >= 0; i-- {
		if values[i] != "" && i < len(r.Layers) {
			return r.Layers[i]
		}
	}
	return ""
}

// Runtime reads all runtime keys.
func (c *Client) Runtime(ctx context.Context) (*Runtime, error) {
	body, err := c.get(ctx, "/runtime?format=json")
	if err != nil {
		return nil, err
	}
	var out Runtime
	if err := json.Unmarshal(body, &out); err != nil || out.Entries == nil {
		return nil, errors.New("GET /runtime did not return runtime: " + isAdmin)
	}
	return &out, nil
}

// ModifyPath returns the request that sets keys of the admin layer, given as key, value, key, value…. An empty value
// takes the key out of the layer.
func ModifyPath(pairs ...string) string {
	var query []string
	for i := 0; i+1 < len(pairs); i += 2 {
		query = append(query, escape(pairs[i])+"="+escape(pairs[i+1]))
	}
	return "/runtime_modify?" + strings.Join(query, "&")
}

// escape writes a space as %20: Envoy takes a plus sign for one.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// UnansweredError is of a change that may have been carried out: no answer came.
type UnansweredError struct{ error }

func (e *UnansweredError) Unwrap() error { return e.error }

// ModifyRuntime sends what ModifyPath returns.
func (c *Client) ModifyRuntime(ctx context.Context, pairs ...string) error {
	path := ModifyPath(pairs...)
	response, body, err := c.do(ctx, http.MethodPost, path)
	switch {
	case err != nil:
		return &UnansweredError{err}
	case response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "No admin layer"):
		return errors.New("its layered_runtime has no admin_layer: add one, or use --runtime-dir or --rtds-file")
	}
	return c.posted(path, response, body)
}

// posted says what an answer to a POST means that is not Envoy's success, a 200 OK whose text is OK, too. What a proxy
// in front says may be carried out all the same, unless it refuses.
func (c *Client) posted(path string, response *http.Response, body []byte) error {
	switch err := c.answered(http.MethodPost, path, response, body); {
	case response.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) == "OK":
		return nil
	case response.StatusCode >= 300 && response.StatusCode < http.StatusInternalServerError:
		return err
	default:
		return &UnansweredError{err}
	}
}

// Post has Envoy do something, such as /healthcheck/fail.
func (c *Client) Post(ctx context.Context, path string) error {
	response, body, err := c.do(ctx, http.MethodPost, path)
	if err != nil {
		return &UnansweredError{fmt.Errorf("POST %s: %w", path, err)}
	}
	return c.posted(path, response, body)
}

// Ready returns Envoy's state, "LIVE", "DRAINING" and so on.
func (c *Client) Ready(ctx context.Context) (string, error) {
	response, body, err := c.do(ctx, http.MethodGet, "/ready")
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return "", c.answered(http.MethodGet, "/ready", response, body)
	}
	state := strings.TrimSpace(string(body))
	if !slices.Contains([]string{"LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"}, state) {
		return "", errors.New("GET /ready did not return Envoy's state: " + isAdmin)
	}
	return state, nil
}

// Stats returns the counters and gauges whose names match a regular expression.
func (c *Client) Stats(ctx context.Context, filter string) (map[string]uint64, error) {
	body, err := c.get(ctx, "/stats?filter="+escape(filter))
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(line, ": ")
		value, whole := strings.CutSuffix(value, "\n")
		if !ok || !whole || strings.HasPrefix(name, "{") { // the page of a login, an error, or a part
			return nil, errors.New("GET /stats did not return metrics: " + isAdmin)
		}
		if n, err := strconv.ParseUint(value, 10, 64); err == nil { // histograms are no numbers
			out[name] = n
		}
	}
	return out, nil
}

// Server is what Envoy says of itself.
type Server struct {
	Node    config.Node // its values stand for the placeholders in keys
	Workers uint64      // its threads that take connections
}

// Server asks Envoy what it is.
func (c *Client) Server(ctx context.Context) (Server, error) {
	body, err := c.get(ctx, "/server_info")
	if err != nil {
		return Server{}, err
	}
	var out struct {
		Version string `json:"version"`
		Node    struct {
			ID       string `json:"id"`
			Cluster  string `json:"cluster"`
			Locality struct {
				Region string `json:"region"`
				Zone   string `json:"zone"`
			} `json:"locality"`
		} `json:"node"`
		Options struct {
			Concurrency uint64 `json:"concurrency"`
		} `json:"command_line_options"`
	}
	if err := json.Unmarshal(body, &out); err != nil || out.Version == "" {
		return Server{}, errors.New("GET /server_info did not return what Envoy says of itself: " + isAdmin)
	}
	n := out.Node
	return Server{config.Node{ID: n.ID, Cluster: n.Cluster, Region: n.Locality.Region, Zone: n.Locality.Zone},
		out.Options.Concurrency}, nil
}

// ConfigDump returns Envoy's whole configuration, with the hosts of clusters, as JSON holds it.
func (c *Client) ConfigDump(ctx context.Context) (any, error) {
	body, err := c.get(ctx, "/config_dump?include_eds")
	if err != nil {
		return nil, err
	}
	var out any
	if err := json.Unmarshal(body, &out); err != nil || !bytes.Contains(body, []byte(".ListenersConfigDump\"")) {
		return nil, errors.New("GET /config_dump did not return Envoy's configuration: " + isAdmin)
	}
	return out, nil
}

// ErrAnother is of answers that are not of one process.
var ErrAnother = errors.New("another Envoy answers here than at the begin: it was restarted, or the address leads to " +
	"several; do it again, with an address for each")

// Stays asks on new connections, which a load balancer may lead to others, whether the Envoy answers that loaded its
// bootstrap at a time, as its configuration says: ErrAnother, unless it does, or that is not known.
func (c *Client) Stays(ctx context.Context, begun string) error {
	transport, _ := c.http.Transport.(*http.Transport)
	fresh := *c.http
	transport = transport.Clone()
	fresh.Transport, transport.DisableKeepAlives = transport, true
	for n := 0; n < 2 && begun != ""; n++ { // one would be the same again where two take turns
		var out struct {
			Configs []struct {
				Begun string `json:"last_updated"`
			} `json:"configs"`
		}
		_, body, err := c.send(ctx, &fresh, http.MethodGet, "/config_dump?mask=last_updated") // of the bootstrap alone
		if err == nil && json.Unmarshal(body, &out) == nil && len(out.Configs) > 0 && out.Configs[0].Begun != begun {
			return ErrAnother
		}
	}
	return nil
}

// ofNote is a difference of clocks that is told.
const ofNote = 10 * time.Second

// compare takes the time that Envoy puts into an answer, to the second. That of a proxy in front is not Envoy's.
func (c *Client) compare(response *http.Response, begin, end time.Time) {
	told, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil || response.Header.Get("Server") != "envoy" {
		return
	}
	var skew time.Duration // at the least
	if ahead, behind := told.Sub(end), begin.Sub(told.Add(time.Second)); ahead > 0 {
		skew = ahead
	} else if behind > 0 {
		skew = -behind
	}
	if skew.Abs() < ofNote { // Envoy looks at its clock now and then, and later when it has much to do
		skew = 0
	}
	c.skew.Store(int64(skew))
}

// Skew returns how far Envoy's clock is ahead of this machine's at the least, as its last answer said; 0 where that is
// less than ten seconds, or not known.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// Clock says how Envoy's clock differs from this machine's; "" when it does not, or that is not known.
func (c *Client) Clock() string {
	switch skew := c.Skew().Round(time.Second); {
	case skew > 0:
		return fmt.Sprintf("Envoy's clock is %s ahead of this machine's", skew)
	case skew < 0:
		return fmt.Sprintf("Envoy's clock is %s behind this machine's", -skew)
	}
	return ""
}

// Host returns the host of the address, "" where it is not Envoy's own: with a Unix socket, or behind a prefix.
func (c *Client) Host() string {
	u, err := url.Parse(c.base)
	if err != nil || c.apart || u.Path != "" {
		return ""
	}
	return u.Hostname()
}

// Machine returns addresses of the machine that the admin is on, besides loopback: this machine's own where it is
// reached by loopback or a Unix socket.
func (c *Client) Machine() (out []netip.Addr) {
	ip, err := netip.ParseAddr(c.Host())
	if err == nil && !ip.IsLoopback() {
		return []netip.Addr{ip.Unmap()}
	}
	if err != nil && c.Host() != "localhost" && !strings.HasPrefix(c.Name, "unix:") {
		return nil
	}
	own, _ := net.InterfaceAddrs() // without them less is known
	for _, address := range own {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			out = append(out, prefix.Addr().Unmap())
		}
	}
	return out
}

// Package admin asks Envoy's admin interface: runtime keys, readiness, counters and gauges.
// Envoy's documentation: operations/admin.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/filter/config"
)

// Client asks one Envoy.
type Client struct {
	Name string // as it was given
	base string // "http://127.0.0.1:9901"
	http *http.Client
}

// requestTimeout is how long one request may take.
const requestTimeout = 5 * time.Second

// maxBody bounds what is read of an answer.
const maxBody = 64 << 20

// New returns a client for http://HOST:PORT, HOST:PORT or unix:///PATH. It connects to nothing yet.
func New(address string) (*Client, error) {
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: dialer.DialContext} // one connection serves all polls
	c := &Client{Name: address, http: &http.Client{Timeout: requestTimeout, Transport: transport}}
	if path, is := strings.CutPrefix(address, "unix://"); is {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("%q: a Unix socket is written unix:///PATH", address)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base = "http://envoy"
		return c, nil
	}
	if strings.Contains(address, ",") {
		return nil, fmt.Errorf("%q is several addresses: repeat --admin for each", address)
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not http://HOST:PORT, HOST:PORT or unix:///PATH", c.Name)
	}
	c.base = u.Scheme + "://" + u.Host
	return c, nil
}

func (c *Client) do(ctx context.Context, method, path string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := c.http.Do(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, nil, errors.New("no answer in time; an Envoy that is starting answers when it has compiled its plugins")
	}
	if err != nil {
		var inner *url.Error // it repeats the address
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	return response.StatusCode, body, err
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	status, body, err := c.do(ctx, http.MethodGet, path)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, answered(http.MethodGet, path, status, body)
	}
	return body, nil
}

func answered(method, path string, status int, body []byte) error {
	text := strings.TrimSpace(string(body))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	path, _, _ = strings.Cut(path, "?")
	return fmt.Errorf("%s %s was answered %d %s", method, path, status, text)
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
		return nil, errors.New("GET /runtime did not return runtime; is this Envoy's admin address?")
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

// ModifyRuntime sends what ModifyPath returns.
func (c *Client) ModifyRuntime(ctx context.Context, pairs ...string) error {
	path := ModifyPath(pairs...)
	status, body, err := c.do(ctx, http.MethodPost, path)
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable && strings.Contains(string(body), "No admin layer"):
		return errors.New("its layered_runtime has no admin_layer: add one, or use --runtime-dir or --rtds-file")
	case status != http.StatusOK:
		return answered(http.MethodPost, path, status, body)
	}
	return nil
}

// Ready returns Envoy's state, "LIVE", "DRAINING" and so on.
func (c *Client) Ready(ctx context.Context) (string, error) {
	status, body, err := c.do(ctx, http.MethodGet, "/ready")
	if err != nil {
		return "", err
	}
	if status != http.StatusOK && status != http.StatusServiceUnavailable {
		return "", answered(http.MethodGet, "/ready", status, body)
	}
	return strings.TrimSpace(string(body)), nil
}

// Stats returns the counters and gauges whose names match a regular expression.
func (c *Client) Stats(ctx context.Context, filter string) (map[string]uint64, error) {
	body, err := c.get(ctx, "/stats?filter="+escape(filter))
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseUint(value, 10, 64); ok && err == nil { // histograms are no numbers
			out[name] = n
		}
	}
	return out, nil
}

// Node returns Envoy's node, whose values stand for the placeholders in keys.
func (c *Client) Node(ctx context.Context) (config.Node, error) {
	body, err := c.get(ctx, "/server_info")
	if err != nil {
		return config.Node{}, err
	}
	var out struct {
		Node struct {
			ID       string `json:"id"`
			Cluster  string `json:"cluster"`
			Locality struct {
				Region string `json:"region"`
				Zone   string `json:"zone"`
			} `json:"locality"`
		} `json:"node"`
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return config.Node{}, errors.New("GET /server_info did not return JSON; is this Envoy's admin address?")
	}
	n := out.Node
	return config.Node{ID: n.ID, Cluster: n.Cluster, Region: n.Locality.Region, Zone: n.Locality.Zone}, nil
}

// ConfigDump returns Envoy's whole configuration, with the hosts of clusters, as JSON holds it.
func (c *Client) ConfigDump(ctx context.Context) (any, error) {
	body, err := c.get(ctx, "/config_dump?include_eds")
	if err != nil {
		return nil, err
	}
	var out any
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, errors.New("GET /config_dump did not return JSON")
	}
	return out, nil
}

// Host returns the host of the address, "" for a Unix socket.
func (c *Client) Host() string {
	u, err := url.Parse(c.base)
	if err != nil || strings.HasPrefix(c.Name, "unix://") {
		return ""
	}
	return u.Hostname()
}

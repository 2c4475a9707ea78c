package simtest

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/hostsim"
	"go.yaml.in/yaml/v3"
)

// fenced finds a fenced block of docs/load-balancers.md: its language and what is in it.
var fenced = regexp.MustCompile("(?ms)^```(http|yaml)\n(.*?)^```$")

// TestDocumentedLoadBalancers plays each check of docs/load-balancers.md against the settings that stand below it
// there.
func TestDocumentedLoadBalancers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/load-balancers.md")
	if err != nil {
		t.Fatal(err)
	}
	// Where the check comes from: an address of the block's trusted list.
	peers := map[string]string{
		"alb": "10.0.4.9", "gcp": "35.191.12.1", "azure": "168.63.129.16", "haproxy": "192.0.2.10",
		"kubelet": "10.128.3.4", "envoy": "192.0.2.5", "gke": "35.191.12.1", "ambient": "169.254.7.127",
		"gcp-passthrough": "209.85.152.9", "azure-gateway": "10.0.2.5", "azure-front-door": "192.0.2.9",
	}
	above, tested := "", 0
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "http" {
			above = block[2]
			continue
		}
		check := above
		settings, name := endpointIn(t, block[2])
		path := request(t, check, "").Path
		peer := net.JoinHostPort(peers[name], "40000")
		tested++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReady(t, settings)
			worker := s.Host.Worker(0)
			if r := worker.Do(request(t, check, peer)); r.Forwarded || r.Status != 200 {
				t.Errorf("the check was answered %d, forwarded %v, want the filter's 200", r.Status, r.Forwarded)
			}
			stranger := request(t, check, "198.51.100.7:40000")
			if r := worker.Do(stranger); !r.Forwarded {
				t.Errorf("a check from a source that is not trusted was answered %d", r.Status)
			}
			// Azure's users never come from the address of its probes, nor Google's through a passthrough load balancer.
			if r := worker.Do(user(path, peer)); !r.Forwarded && name != "azure" && name != "gcp-passthrough" {
				t.Errorf("a user's request from the load balancer's address was answered %d", r.Status)
			}
			s.Admin().SetRuntime("healthgate.maintenance", "true")
			s.Advance(time.Second)
			if r := worker.Do(request(t, check, peer)); r.Status != 503 || r.Details != "healthgate_maintenance" {
				t.Errorf("in maintenance the check was answered %d, details %q", r.Status, r.Details)
			}
		})
	}
	if tested != len(peers) {
		t.Errorf("the document has settings for %d load balancers, the test knows %d", tested, len(peers))
	}
}

// endpointIn returns the plugin's configuration in a block, and the name of its one endpoint.
func endpointIn(t *testing.T, text string) (settings, name string) {
	t.Helper()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(out, config.Node{})
	if err != nil || len(c.Endpoints) != 1 {
		t.Fatalf("want one endpoint, %v in\n%s", err, text)
	}
	return string(out), c.Endpoints[0].Name
}

// request reads a request as it stands in the document.
func request(t *testing.T, text, peer string) *hostsim.Request {
	t.Helper()
	raw := strings.ReplaceAll(strings.TrimSpace(text), "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out := &hostsim.Request{Method: r.Method, Path: r.RequestURI, Authority: r.Host, Peer: peer}
	for name, values := range r.Header {
		for _, value := range values {
			out.Header = append(out.Header, [2]string{strings.ToLower(name), value})
		}
	}
	return out
}

// user is a request for the path of the checks that a load balancer of layer 7 forwards for a user.
func user(path, peer string) *hostsim.Request {
	return &hostsim.Request{Path: path, Authority: "shop.example", Peer: peer, Header: hostsim.Header{
		{"user-agent", "Mozilla/5.0"}, {"x-forwarded-for", "203.0.113.5"},
	}}
}

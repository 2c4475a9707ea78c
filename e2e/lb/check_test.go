package lb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// judgement is what `healthgate check -o json` says.
type judgement struct {
	Status     int    `json:"status"`
	Healthy    bool   `json:"healthy"`
	AnsweredBy string `json:"answered_by"`
	Endpoint   string `json:"endpoint"`
	Outcome    string `json:"outcome"`
	Misses     []struct {
		Endpoint string   `json:"endpoint"`
		Why      []string `json:"why"`
	} `json:"misses"`
	Leaves, Returns struct {
		Checks int `json:"checks"`
	}
}

func (j *judgement) String() string {
	return fmt.Sprintf("%d healthy=%v by=%s %s.%s %v", j.Status, j.Healthy, j.AnsweredBy, j.Endpoint, j.Outcome, j.Misses)
}

// try runs `healthgate check`.
func try(t *testing.T, flags ...string) (j judgement, code int) {
	t.Helper()
	path := must.Get(envoytest.Command())(t)
	cmd := exec.CommandContext(t.Context(), path, append([]string{"check", "-o", "json"}, flags...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if wrong := json.Unmarshal(out, &j); wrong != nil {
		t.Fatalf("check %v: %v, %v, %s%s", flags, err, wrong, out, &stderr)
	}
	return j, cmd.ProcessState.ExitCode()
}

// check runs `healthgate check`, which must exit so.
func check(t *testing.T, code int, flags ...string) judgement {
	t.Helper()
	j, got := try(t, flags...)
	if got != code || j.Healthy != (code == 0) {
		t.Errorf("check %v: exit code %d, want %d: %s", flags, got, code, &j)
	}
	return j
}

// shown finds, in the document, the name of a load balancer whose check is shown, and settings.
var shown = regexp.MustCompile("(?ms)^<!-- balancer: (\\S+) -->$|^```yaml\n(.*?)^```$")

// documented is what docs/load-balancers.md has for a load balancer.
type documented struct {
	as, path, endpoint string
	settings           envoytest.Object
}

func documents(t *testing.T) (out []documented) {
	t.Helper()
	text := must.Read(t, filepath.Join(envoytest.Root, "docs", "load-balancers.md"))
	as := ""
	for _, found := range shown.FindAllStringSubmatch(text, -1) {
		if found[1] != "" {
			as = found[1]
			continue
		}
		var settings envoytest.Object
		must.Do(t, yaml.Unmarshal([]byte(found[2]), &settings))
		settings = envoytest.Clone(settings)
		endpoint := envoytest.At[envoytest.Object](settings, "endpoints", 0)
		endpoint["trusted"] = envoytest.Object{"cidrs": []any{"127.0.0.2/32"}} // addresses that this machine has
		envoytest.At[envoytest.Object](settings, "admin")["timeout"] = envoytest.CalloutTimeout.String()
		out = append(out, documented{as, envoytest.At[string](endpoint, "paths", 0), endpoint["name"].(string), settings})
	}
	return out
}

// TestDocumentedChecks: with the settings that the document has for it, each load balancer takes an instance for
// healthy and, in maintenance, not, by what the gate answers; from an address that is not trusted the gate does not
// answer.
func TestDocumentedChecks(t *testing.T) {
	t.Parallel()
	c := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
	all := documents(t)
	address := map[string]string{}
	for _, d := range all {
		l := c.AddListener(d.endpoint)
		*l = envoytest.Listener{Object: envoytest.Parse(strings.ReplaceAll(envoytest.Text(l.Object),
			`"/my-service/healthcheck"`, fmt.Sprintf("%q", d.path)))}
		l.SetSettings(d.settings)
		listeners := envoytest.At[[]any](c.Bootstrap, "static_resources", "listeners")
		listeners[len(listeners)-1] = l.Object
		address[d.endpoint] = l.Address()
	}
	if len(all) < 11 {
		t.Fatalf("the document has settings for %d load balancers", len(all))
	}
	envoytest.Start(t, c, 1)
	admin := envoytest.Loopback(c.AdminPort)
	become := func(d documented, outcome string, status int) {
		t.Helper()
		balancers := []string{d.as}
		if d.as == "alb" {
			balancers = append(balancers, "nlb") // of which the document says that the same settings serve it
		}
		for _, as := range balancers {
			flags := []string{"http://" + address[d.endpoint] + d.path, "--as", as, "--from", "127.0.0.2", "--admin", admin}
			envoytest.Eventually(t, envoytest.Limit, as+" sees "+outcome, func() error {
				j, code := try(t, flags...)
				if j.Status != status || j.AnsweredBy != "gate" || j.Endpoint != d.endpoint || j.Outcome != outcome ||
					j.Healthy != (status == 200) || (code == 0) != j.Healthy || len(j.Misses) > 0 {
					return fmt.Errorf("%s, exit code %d", &j, code)
				}
				return nil
			})
		}
	}
	for _, d := range all {
		become(d, "healthy", 200)
		j, _ := try(t, "http://"+address[d.endpoint]+d.path, "--as", d.as, "--from", "127.0.0.1", "--admin", admin)
		if j.AnsweredBy != "application" || j.Outcome != "untrusted" || len(j.Misses) != 1 ||
			!slices.Contains(j.Misses[0].Why, "the source 127.0.0.1 is not trusted") {
			t.Errorf("%s from another address: %s", d.as, &j)
		}
	}
	c.SetMaintenance(true, "healthgate.maintenance")
	for _, d := range all {
		become(d, "maintenance", 503)
	}
	c.SetMaintenance(false, "healthgate.maintenance")
	become(all[0], "healthy", 200)

	// Each condition that is not met is named, as the answer is the application's.
	alb := "http://" + address["alb"]
	for _, test := range []struct{ url, as, why string }{
		{alb + "/healthz", "kubelet", "the header user-agent: kube-probe/1.36 must begin with ELB-HealthChecker/"},
		{alb + "/health", "alb", "the path /health is none of /healthz"},
		{alb + "/healthz", "azure-front-door", "the method HEAD is none of GET"},
		{alb + "/healthz", "azure-gateway", "the check has no header user-agent, which must begin with ELB-HealthChecker/"},
		{"http://" + address["haproxy"] + "/healthz", "alb",
			"the host " + address["haproxy"] + " is none of healthcheck.local"},
	} {
		j := check(t, 0, test.url, "--as", test.as, "--from", "127.0.0.2", "--admin", admin)
		if j.AnsweredBy != "application" || len(j.Misses) != 1 || !slices.Contains(j.Misses[0].Why, test.why) {
			t.Errorf("%s as %s: %s, want %q", test.url, test.as, &j, test.why)
		}
	}
}

package operator

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// report is what scripts read of `healthgate status --json`.
type report struct {
	Envoy, Node, Zone, State, Error string
	Draining                        *bool
	SnapshotAgeMS                   *int64   `json:"snapshot_age_ms"`
	StatusURLs                      []string `json:"status_urls"`
	Endpoints                       []struct {
		Name, Verdict, Output, Source string
		Unsure                        []string
		HTTPStatus                    int  `json:"http_status"`
		CheckSeen                     bool `json:"check_seen"`
		Maintenance                   *struct {
			Key, Value, Reason string
			Until              *time.Time
		}
	}
	Probes []struct {
		Name       string
		Healthy    *bool
		Since      *time.Time
		LastStatus int    `json:"last_status"`
		LatencyMS  *int64 `json:"latency_ms"`
	}
	Notes []string
}

func parse(t testing.TB, text string) []report {
	t.Helper()
	var out []report
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

func TestStatus(t *testing.T) {
	t.Parallel()
	i := start(t)
	checking(t, i.listen)
	url := "http://" + i.listen + "/healthgate/status"
	gone := envoytest.Loopback(must.Port(t))

	run(t, "status", "--admin", i.admin).is(t, 0, i.admin, "healthgate-1", "zone local-a", "LIVE",
		"not draining", "record ",
		"my-service  200 healthy", "middleware  200 healthy", "inbound", "healthy", "200", "ms")
	if r := parse(t, run(t, "status", "--json", "--admin", i.admin).stdout)[0]; len(r.Notes) > 0 {
		t.Errorf("notes about what is rendered: %q", r.Notes)
	}

	// A status endpoint does not see whether a route has its checks under maintenance.
	run(t, "status", "--status-url", url).is(t, 0, "my-service  200 healthy, not for sure", "note: maintenance by route",
		"middleware  200 healthy, no check seen")

	i.app.Answer("/outbound/isalive", 500)
	i.eventually(t, 500, "FAILED")
	run(t, "maintenance", "on", "--admin", i.admin, "--reason", "disk <swap>", "--for", "1h").is(t, 0)
	for _, args := range [][]string{{"--admin", i.admin}, {"--status-url", url}} {
		run(t, append(args, "status")...).is(t, 0, "503 maintenance", key+" until 20", "disk <swap>", "unhealthy", "500")
		out := run(t, append(args, "status", "--json")...)
		out.is(t, 0)
		r := parse(t, out.stdout)[0]
		e, outbound := r.Endpoints[0], r.Probes[1]
		if len(r.Notes) > 0 && strings.HasPrefix(r.Notes[len(r.Notes)-1], "no route") {
			t.Errorf("notes %q", r.Notes)
		}
		if r.Node != "healthgate-1" || *r.Draining || *r.SnapshotAgeMS > 10_000 || len(r.StatusURLs) != 1 ||
			r.StatusURLs[0] != url || len(r.Endpoints) != 2 || len(r.Probes) != 3 ||
			e.Name != "my-service" || e.Verdict != "maintenance" || e.HTTPStatus != 503 || e.Maintenance.Key != key ||
			e.Maintenance.Reason != "disk <swap>" || time.Until(*e.Maintenance.Until) < 59*time.Minute ||
			outbound.Name != "outbound" || *outbound.Healthy || outbound.LastStatus != 500 ||
			outbound.LatencyMS == nil || outbound.Since == nil {
			t.Errorf("healthgate %s: %s", out.command, out.stdout)
		}
	}

	// One that can't be asked does not hide the others.
	out := run(t, "status", "--json", "--admin", gone, "--admin", i.admin)
	out.is(t, 1)
	if r := parse(t, out.stdout); len(r) != 2 || r[0].Error == "" || r[1].Endpoints[0].Verdict != "maintenance" {
		t.Errorf("%s", out.stdout)
	}
	run(t, "status", "--admin", gone).is(t, 1, gone, "connection refused")
	run(t, "status", "--status-url", "http://"+i.listen+"/shop").is(t, 1,
		"the request went on to the application: 200 OK",
		"127.0.0.1 in its trusted list, the path in the gate, and does it ask for neither hosts nor headers that this "+
			"request lacks?")
	run(t, "status", "--status-url", "http://"+i.listen+"/healthz").is(t, 1,
		`what came is no status document (server: "envoy"): 200 OK; is the path a status endpoint's`)

	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "on", "--route", "--admin", i.admin, "--reason", "at once").is(t, 0)
	run(t, "status", "--admin", i.admin).is(t, 0,
		"my-service  503 maintenance  healthgate.route_maintenance = 100: at once")
	i.envoy.SetRuntime("healthgate.route_maintenance", "1")
	run(t, "status", "--admin", i.admin).is(t, 0,
		"healthgate.route_maintenance = 1 puts only 1% of the checks of /my-service/healthcheck under maintenance")
	run(t, "maintenance", "off", "--route", "--admin", i.admin).is(t, 0)

	i.envoy.Post("/healthcheck/fail")
	envoytest.Eventually(t, envoytest.Limit, "draining", func() error {
		if r := parse(t, run(t, "status", "--json", "--admin", i.admin).stdout)[0]; r.State != "DRAINING" ||
			r.Draining == nil || !*r.Draining {
			return os.ErrNotExist
		}
		return nil
	})
	run(t, "status", "--admin", i.admin).is(t, 0, "503 draining", "Envoy is draining")
}

// Where probes go through the application's cluster, it is told what that does to them and to users.
func TestStatusTellsOfTheProbesCluster(t *testing.T) {
	t.Parallel()
	port := must.Port(t)
	i := render(t, shipped, "--admin", envoytest.Loopback(port))
	text := must.Get(os.ReadFile(i.config))(t)
	shared := strings.ReplaceAll(string(text), "cluster: healthgate_app,", "cluster: app,")
	guarded := strings.Replace(shared, "- name: app\n    connect_timeout", "- name: app\n    outlier_detection: {}\n"+
		"    circuit_breakers: {thresholds: [{max_requests: 4}]}\n    connect_timeout", 1)
	if shared == string(text) || guarded == shared {
		t.Fatalf("not what is edited here:\n%s", text)
	}
	envoytest.Start(t, envoytest.FromYAML(t, guarded, port), 1)
	run(t, "status", "--admin", envoytest.Loopback(port)).is(t, 0,
		`note: probe "inbound": the cluster "app" has users' requests, too`,
		`"app" has outlier detection`, `"app" has a panic threshold of 50%`, `"app" has a circuit breaker, max_requests 4`)
}

// Without a status endpoint, admin alone tells what it knows.
func TestStatusFromAdminAlone(t *testing.T) {
	t.Parallel()
	text := must.Read(t, filepath.Join(envoytest.Root, "envoy", "healthgate.yaml"))
	from, to := strings.Index(text, "# Shows operators"), strings.Index(text, "\nprobes:")
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	must.Write(t, file, text[:from]+text[to+1:])
	i := startFile(t, file)
	checking(t, i.listen)
	i.app.Answer("/stats/isalive", 500)
	i.eventually(t, 500, "FAILED")
	const zone = key + ".zone.local-a"
	run(t, "maintenance", "on", zone, "--admin", i.admin, "--reason", "row 7").is(t, 0)
	out := run(t, "status", "--json", "--admin", i.admin)
	out.is(t, 0)
	r := parse(t, out.stdout)[0]
	if len(r.StatusURLs) > 0 || r.Zone != "local-a" || r.State != "LIVE" || len(r.Endpoints) != 2 ||
		r.Endpoints[0].Verdict != "maintenance" ||
		r.Endpoints[0].Maintenance.Key != zone || r.Endpoints[0].Maintenance.Value != "true" ||
		r.Endpoints[0].Maintenance.Reason != "row 7" ||
		r.Endpoints[1].Verdict != "healthy" || r.Endpoints[1].HTTPStatus != 200 || r.Endpoints[1].Source != "gauges" ||
		len(r.Probes) != 3 || !*r.Probes[0].Healthy || *r.Probes[2].Healthy || r.Probes[2].Since != nil ||
		*r.Draining || r.SnapshotAgeMS == nil {
		t.Errorf("%s", out.stdout)
	}
	run(t, "status", "--admin", i.admin).is(t, 0,
		"my-service  503 maintenance  "+zone+" = true: row 7", "stats     not up",
		"it has no status endpoint: verdicts are derived from its configuration, runtime and gauges")
}

// A path that the gate by route lacks is told: nothing else would say why its checks reach the application.
func TestStatusTellsWhatTheGateLacks(t *testing.T) {
	t.Parallel()
	port := must.Port(t)
	i := render(t, shipped, "--admin", envoytest.Loopback(port))
	config := replaced(t, i.config, "path: /healthz", "path: /elsewhere")
	text := must.Read(t, config)
	i.envoy = envoytest.Start(t, envoytest.FromYAML(t, text, port), 1)
	i.eventually(t, 200, "OK")
	out := run(t, "status", "--json", "--admin", envoytest.Loopback(port))
	out.is(t, 0)
	want := []string{`listener "ingress": no route enables the filter for /healthz: its checks reach the application`}
	if got := parse(t, out.stdout)[0].Notes; !slices.Equal(got, want) {
		t.Errorf("notes %q, want %q", got, want)
	}
}

// --watch shows each change, outlives an Envoy that goes, and ends well at Ctrl-C.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	i := start(t)
	cmd := command(t, "status", "--watch", "--interval", "100ms", "--json", "--admin", i.admin)
	pipe := must.Get(cmd.StdoutPipe())(t)
	must.Do(t, cmd.Start())
	lines := bufio.NewScanner(pipe)
	until := func(what string, holds func(report) bool) {
		t.Helper()
		for deadline := time.Now().Add(envoytest.Limit); lines.Scan(); {
			if holds(parse(t, lines.Text())[0]) {
				return
			}
			if time.Now().After(deadline) {
				break
			}
		}
		t.Fatalf("it never showed that %s", what)
	}
	until("all is well", func(r report) bool { return r.Error == "" && r.Endpoints[0].Verdict == "healthy" })
	i.envoy.SetRuntime(key, "true")
	until("maintenance is on", func(r report) bool { return r.Endpoints[0].Verdict == "maintenance" })
	i.envoy.Stop()
	until("Envoy has gone", func(r report) bool { return r.Error != "" })
	must.Do(t, cmd.Process.Signal(syscall.SIGINT))
	for lines.Scan() {
		continue
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}

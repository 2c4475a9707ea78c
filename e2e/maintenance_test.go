package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const key = "healthgate.maintenance"

// testMaintenanceKey throws maintenance as an operator does, while users are served and one request runs.
func testMaintenanceKey(t *testing.T, b *bench) {
	startTraffic(t, b.balancer)
	const slow = "/slow"
	release := b.app.Hold(slow)
	running := make(chan error, 1)
	go func() { running <- b.stranger.gets(slow, 200, "app "+slow)() }()
	envoytest.Eventually(t, envoytest.Limit, "a request runs", func() error {
		if b.app.Count(slow) == 0 {
			return errors.New("the application has not seen it")
		}
		return nil
	})

	b.envoy.SetRuntime(key, "true", key+".reason", "new database, until noon")
	b.within(t, interval+slack, 503, sorry)
	b.balancer.get(t, check).has(t, "Content-Type", "text/plain")
	b.becomes(t, "wasmcustom.healthgate_maintenance.endpoint.my-service", 1)
	b.balancer.get(t, empty).is(t, 200, "") // the other endpoint has no key
	b.balancer.get(t, "/other").isApp(t, "/other")

	release()
	if err := <-running; err != nil {
		t.Errorf("the request that ran when maintenance began: %v", err)
	}
	b.balancer.get(t, check).is(t, 503, sorry)
	b.envoy.SetRuntime(key, "", key+".reason", "")
	b.within(t, interval+slack, 200, "OK")
}

// testMaintenanceZone throws the key with the zone of this Envoy's node in it, and another zone's.
func testMaintenanceZone(t *testing.T, b *bench) {
	const zone = key + ".zone."
	b.envoy.SetRuntime(zone+"local-b", "true", zone+"local-a", "1")
	b.within(t, interval+slack, 503, sorry)
	b.envoy.SetRuntime(zone+"local-a", "")
	b.within(t, interval+slack, 200, "OK")
	b.envoy.SetRuntime(zone+"local-b", "")
}

// testMaintenanceUntil sets a time instead of a truth value: maintenance ends by itself.
func testMaintenanceUntil(t *testing.T, b *bench) {
	until := time.Now().Add(interval + slack + time.Second)
	b.envoy.SetRuntime(key, until.Format(time.RFC3339Nano))
	b.within(t, interval+slack, 503, sorry)
	envoytest.Eventually(t, envoytest.Limit, "maintenance ends", b.balancer.gets(check, 200, "OK"))
	if now := time.Now(); now.Before(until) {
		t.Errorf("maintenance ended %v too early", until.Sub(now))
	} else if late := now.Sub(until); late > slack {
		t.Errorf("maintenance ended %v too late", late)
	}
	b.envoy.SetRuntime(key, "")
}

// testMaintenanceUnknown sets a value that is neither a truth value, a number nor a time: it counts as on.
func testMaintenanceUnknown(t *testing.T, b *bench) {
	b.envoy.SetRuntime(key, "mañana")
	b.within(t, interval+slack, 503, sorry)
	b.envoy.SetRuntime(key, "")
	b.within(t, interval+slack, 200, "OK")
}

// testMaintenanceRoute sets the runtime key that the maintenance route waits for: the very next check sees it. The
// status endpoint does not, and says so wherever it calls the endpoint healthy.
func testMaintenanceRoute(t *testing.T, b *bench) {
	startTraffic(t, b.balancer)
	const key = "healthgate.route_maintenance"
	for range 20 {
		b.envoy.SetRuntime(key, "100")
		b.balancer.get(t, check).is(t, 503, sorry)
		b.envoy.SetRuntime(key, "")
		b.balancer.get(t, check).is(t, 200, "OK")
	}
	const note = "maintenance by route is decided for each check, and not known here"
	for accept, parts := range map[string][]string{
		"text/html":        {"<p>" + note + "</p></header>", "<p>" + note + "</p></section>"},
		"application/json": {`"notes":["` + note + `"]`, `"affectedEndpoints":["` + check + `"],"output":"` + note + `"`},
	} {
		state := b.balancer.get(t, statusPath, "Accept: "+accept)
		for _, part := range parts {
			if !strings.Contains(state.Body, part) {
				t.Errorf("the status endpoint does not say %s: %v", part, state)
			}
		}
	}
}

// TestRuntimeForms: Envoy shows values of runtime in forms of its own, and in others those that are no text.
func TestRuntimeForms(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	// In a layer that is a Struct, a fraction becomes the text of a protobuf message, which differs between Envoys.
	fraction := func(numerator float64) object {
		return object{"numerator": numerator, "denominator": "HUNDRED"}
	}
	runtime := envoytest.At[object](c.Bootstrap, "layered_runtime")
	runtime["layers"] = append([]any{object{"name": "fractions", "static_layer": object{
		"zero": fraction(0), "five": fraction(5), "empty": object{}, "hundred": object{"denominator": "HUNDRED"},
	}}}, runtime["layers"].([]any)...)
	want := map[string]bool{"zero": false, "five": true, "empty": false, "hundred": false}
	listeners := map[string]*envoytest.Listener{}
	for name := range want {
		listeners[name] = c.AddListener(name)
		listeners[name].Change(func(settings object) {
			envoytest.At[object](settings, "endpoints", 0, "maintenance")["keys"] = []any{name}
		})
	}
	b := start(t, a, c, 1)
	b.settle(t)
	for name, on := range want {
		if on {
			b.at(listeners[name]).within(t, envoytest.Limit, 503, sorry)
		} else {
			b.at(listeners[name]).settle(t)
		}
	}
	for _, value := range []struct{ on, off string }{ // in turn, so that each is seen
		{strings.Repeat(" ", 300) + "true", `"false"`},
		{"\xff\xff", `{"numerator": 0, "denominator": "HUNDRED"}`},
		{`{"numerator": 1, "denominator": "HUNDRED"}`, "numerator: 0\ndenominator: HUNDRED"},
		{"null", `'off'`},
		{"[]", "{}"},
		{" ", ""},
	} {
		b.envoy.SetRuntime(key, value.on)
		b.within(t, envoytest.Limit, 503, sorry)
		b.envoy.SetRuntime(key, value.off)
		b.settle(t)
	}
}

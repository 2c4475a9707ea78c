package e2e

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// door is a listener that decides in its own way whom to trust.
type door struct {
	name string
	edit func(l *envoytest.Listener)
	asks []ask
}

// ask is one check that comes to a door, and what becomes of it.
type ask struct {
	source  string
	headers []string
	details string // Envoy's response code details
}

// The outcomes of an ask.
const (
	answered = "healthgate_healthy"
	refused  = "healthgate_untrusted"
	passes   = "via_upstream"
)

// TestTrust has one Envoy with a listener for each way to decide whom to trust.
func TestTrust(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	for _, d := range doors {
		l := config.AddListener(d.name)
		delete(envoytest.At[envoytest.Object](l.HCM(), "access_log", 0), "filter")
		d.edit(l)
	}
	b := start(t, a, config, 2)
	b.settle(t)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			l := config.Listener(d.name)
			for i, ask := range d.asks {
				t.Run(strconv.Itoa(i), func(t *testing.T) { ask.run(t, b.app, b.envoy, l) })
			}
		})
	}
}

func (q ask) run(t *testing.T, a *app.App, e *envoytest.Envoy, l *envoytest.Listener) {
	c := from(q.source, l.Address())
	before := a.Count(check)
	// The query tells this request's line in the access log from all others.
	mark := "?" + t.Name()
	reply := c.get(t, check+mark, q.headers...)
	switch q.details {
	case answered:
		reply.is(t, 200, "OK")
	case refused:
		reply.is(t, 403, "who are you?")
	case passes:
		reply.isApp(t, check)
		before++
	}
	if n := a.Count(check); n != before {
		t.Errorf("the application saw %d checks, want %d", n, before)
	}
	envoytest.Eventually(t, envoytest.Limit, "access log", func() error { return e.AccessLog.Has(mark+" ", " "+q.details+" ") })
	if q.details == passes {
		headers := append([]string{"X-Expected: yes"}, q.headers...)
		passesUnchanged(t, a, c, "POST", "/shop", check, headers)
	}
}

// trust returns an edit that replaces the trusted section of the check's endpoint.
func trust(section string) func(*envoytest.Listener) {
	return func(l *envoytest.Listener) {
		l.Change(func(s envoytest.Object) {
			envoytest.At[envoytest.Object](s, "endpoints", 0)["trusted"] = envoytest.Parse(section)
		})
	}
}

// with returns an edit that sets fields of the connection manager.
func with(fields string) func(*envoytest.Listener) {
	return func(l *envoytest.Listener) {
		for name, value := range envoytest.Parse(fields) {
			l.HCM()[name] = value
		}
	}
}

// keep sets a filter state object, in front of the gate, and trusts what it says.
func keep(value string) func(*envoytest.Listener) {
	return func(l *envoytest.Listener) {
		trust(`{"cidrs": ["127.0.0.1/32", "fd00::/8"], "peer": {"filter_state": "hc.peer"}}`)(l)
		filter := envoytest.Object{
			"name": "keep_peer",
			"typed_config": envoytest.Any("envoy.extensions.filters.http.set_filter_state.v3.Config", envoytest.Object{
				"on_request_headers": []any{envoytest.Object{
					"object_key":  "hc.peer",
					"factory_key": "envoy.string",
					"format_string": envoytest.Object{
						"text_format_source": envoytest.Object{"inline_string": value},
					},
				}},
			}),
		}
		l.HCM()["http_filters"] = append([]any{filter}, l.Filters()...)
	}
}

// demand returns an edit that demands a header of the check's endpoint.
func demand(matcher string) func(*envoytest.Listener) {
	return func(l *envoytest.Listener) {
		l.Change(func(s envoytest.Object) {
			envoytest.At[envoytest.Object](s, "endpoints", 0)["headers"] = []any{envoytest.Parse(matcher)}
		})
	}
}

// crowdOfHeaders is as many as the plugin does not read all at once, unless it must.
func crowdOfHeaders() (headers []string) {
	for i := range 20 {
		headers = append(headers, fmt.Sprintf("X-More-%d: s3cret", i))
	}
	return headers
}

var doors = []door{
	{"shipped", func(*envoytest.Listener) {}, []ask{
		{trusted, nil, answered},
		{untrusted, nil, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted}, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted + ":443"}, passes},
		{untrusted, []string{"X-Forwarded-For: ::1"}, passes},
		{untrusted, []string{"X-Forwarded-For: not an address"}, passes},
		{untrusted, []string{"X-Real-Ip: " + trusted, "Forwarded: for=" + trusted, "X-Envoy-External-Address: " + trusted}, passes},
		{trusted, []string{"X-Forwarded-For: " + trusted}, passes},
		{trusted, []string{"X-Forwarded-For: 10.9.9.9"}, passes},
	}},
	{"use_remote_address", with(`{"use_remote_address": true}`), []ask{
		{trusted, nil, answered},
		{trusted, []string{"X-Forwarded-For: 10.9.9.9"}, answered},
		{untrusted, nil, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted}, passes},
	}},
	{"hops", with(`{"use_remote_address": true, "xff_num_trusted_hops": 1}`), []ask{
		{trusted, nil, answered},
		{trusted, []string{"X-Forwarded-For: 10.9.9.9"}, passes},
		{untrusted, nil, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted}, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted + ", " + trusted}, passes},
	}},
	{"forwarded", trust(`{"cidrs": ["10.9.9.0/24", "fd00::/8"], "providers": ["gcp"], "peer": "forwarded"}`), []ask{
		{untrusted, []string{"X-Forwarded-For: 10.9.9.9"}, answered},
		{untrusted, []string{"X-Forwarded-For: 192.0.2.1, 10.9.9.9"}, answered},
		{untrusted, []string{"X-Forwarded-For: 10.9.9.9, 192.0.2.1"}, passes},
		{untrusted, []string{"X-Forwarded-For: ::ffff:10.9.9.9"}, answered},
		{untrusted, []string{"X-Forwarded-For: fd00::9"}, answered},
		{untrusted, []string{"X-Forwarded-For: fe80::9"}, passes},
		{untrusted, []string{"X-Forwarded-For: 35.191.1.2"}, answered},
		{untrusted, []string{"X-Forwarded-For: 35.192.1.2"}, passes},
		{untrusted, nil, passes},
	}},
	{"filter_state", keep("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"), []ask{
		{trusted, nil, answered},
		{trusted, []string{"X-Forwarded-For: 10.9.9.9"}, answered},
		{untrusted, nil, passes},
		{untrusted, []string{"X-Forwarded-For: " + trusted}, passes},
	}},
	// No operator should trust a header like this; it brings any text into the filter state.
	{"filter_state_text", keep("%REQ(X-Peer)%"), []ask{
		{untrusted, []string{"X-Peer: 127.0.0.1"}, answered},
		{untrusted, []string{"X-Peer: 127.0.0.1:443"}, answered},
		{untrusted, []string{"X-Peer: ::ffff:127.0.0.1"}, answered},
		{untrusted, []string{"X-Peer: [::ffff:127.0.0.1]:443"}, answered},
		{untrusted, []string{"X-Peer: fd00::1"}, answered},
		{trusted, []string{"X-Peer: 127.0.0.2"}, passes},
		{trusted, []string{"X-Peer: /run/envoy.sock"}, passes},
		{trusted, []string{"X-Peer: 127.0.0.1, 127.0.0.1"}, passes},
		{trusted, nil, passes},
	}},
	{"filter_state_missing", trust(`{"cidrs": ["127.0.0.1/32"], "peer": {"filter_state": "nobody.sets.this"}}`), []ask{
		{trusted, nil, passes},
	}},
	{"reply", func(l *envoytest.Listener) {
		l.Change(func(s envoytest.Object) {
			envoytest.At[envoytest.Object](s, "endpoints", 0)["untrusted"] =
				envoytest.Parse(`{"action": "reply", "status": 403, "body": "who are you?"}`)
		})
	}, []ask{
		{trusted, nil, answered},
		{untrusted, nil, refused},
		{untrusted, []string{"X-Forwarded-For: " + trusted}, refused},
	}},
	{"a header twice", demand(`{"name": "X-Check", "exact": "s3cret"}`), []ask{
		{trusted, []string{"X-Check: s3cret"}, answered},
		{trusted, []string{"X-Check: s3cret", "X-Check: no"}, passes},
		{trusted, []string{"X-Check: no", "X-Check: s3cret"}, passes},
		{trusted, []string{"X-Check: s3cret", "x-check: s3cret"}, passes},
		{trusted, append(crowdOfHeaders(), "X-Check: s3cret", "X-Check: no"), passes},
		{trusted, append(crowdOfHeaders(), "X-Check: s3cret"), answered},
	}},
	{"values are joined", demand(`{"name": "X-Check", "exact": "a,,b"}`), []ask{
		{trusted, []string{"X-Check: a", "X-Check:", "X-Check: b"}, answered},
		{trusted, []string{"X-Check: a,,b"}, answered},
		{trusted, []string{"X-Check: a", "X-Check: b"}, passes},
	}},
	{"the host as a header", demand(`{"name": "Host", "exact": "shop.example"}`), []ask{
		{trusted, nil, answered},
		{trusted, nil, answered},
		{trusted, crowdOfHeaders(), answered},
		{trusted, crowdOfHeaders(), answered},
	}},
	{"another host as a header", demand(`{"name": "host", "prefix": "lb."}`), []ask{
		{trusted, nil, passes},
		{trusted, nil, passes},
		{trusted, crowdOfHeaders(), passes},
		{trusted, []string{"X-Host: lb.example", "X-Forwarded-Host: lb.example"}, passes},
	}},
	{"user agent", demand(`{"name": "User-Agent", "prefix": "ELB-HealthChecker/"}`), []ask{
		{trusted, []string{"User-Agent: ELB-HealthChecker/2.0"}, answered},
		{trusted, []string{"User-Agent: Mozilla/5.0"}, passes},
		{trusted, nil, passes},
		{untrusted, []string{"User-Agent: ELB-HealthChecker/2.0"}, passes},
	}},
}

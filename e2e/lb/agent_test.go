package lb

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// startAgent starts `healthgate agent` for a node's my-service.
func startAgent(t *testing.T, n *node, tcp, agentCheck int) (*run.Process, *envoytest.Log) {
	t.Helper()
	path := must.Get(envoytest.Command())(t)
	return envoytest.Program(t, exec.Command(path, "agent", "--status-url", "http://"+n.address+"/healthgate/status",
		"--endpoint", "my-service", "--tcp", fmt.Sprintf(":%d", tcp), "--agent-check", fmt.Sprintf(":%d", agentCheck),
		"--interval", "200ms", "--max-age", "20s"))
}

// TestAgent: HAProxy takes a server into MAINT, DRAIN and DOWN by the agent's lines, and back; another one, that it
// only connects to, DOWN. When the agent ends, both are DOWN, since HAProxy checks by TCP that it is there.
func TestAgent(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	ingress := c.Listener("ingress")
	ingress.Change(func(settings envoytest.Object) { // which a status endpoint does not know
		delete(envoytest.At[envoytest.Object](settings, "endpoints", 0, "maintenance"), "route_metadata")
	})
	n := &node{a, c, envoytest.Start(t, c, 1), ingress.Address()}
	tcp, agentCheck := must.Port(t), must.Port(t)
	agent, log := startAgent(t, n, tcp, agentCheck)
	h := startHAProxyWith(t, fmt.Sprintf("global\n  stats socket unix@${STATS_SOCKET} level admin\ndefaults\n"+
		"  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n  timeout check 20s\n"+
		"frontend users\n  bind %s\n"+
		"  default_backend app\nbackend app\n  default-server check inter 200ms fall 2 rise 2\n"+
		"  server lines %s port %d agent-check agent-port %d agent-inter 200ms\n  server tcp %s port %d\n",
		envoytest.Loopback(must.Port(t)), n.address, agentCheck, agentCheck, n.address, tcp))
	become := func(what, lines, connect string) {
		t.Helper()
		envoytest.Eventually(t, envoytest.Limit, what, func() error {
			servers, err := h.servers()
			if err == nil && (!strings.HasPrefix(servers["lines"].status, lines) ||
				!strings.HasPrefix(servers["tcp"].status, connect)) {
				err = fmt.Errorf("HAProxy says %v", servers)
			}
			return err
		})
	}
	envoytest.Eventually(t, envoytest.Limit, "the agent finds it healthy", func() error { return log.Has("Z up") })
	become("it is healthy", "UP", "UP")
	// The agent ends an operator's own MAINT, unless it is disabled.
	for _, first := range []struct{ command, status string }{{"", "UP"}, {"disable agent app/lines; ", "MAINT"}} {
		said, err := h.say(first.command + "set server app/lines state maint")
		if err != nil || strings.TrimSpace(said) != "" {
			t.Fatal(said, err)
		}
		become("an operator's MAINT", first.status, "UP")
	}
	must.Get(h.say("set server app/lines state ready; enable agent app/lines"))(t)
	become("it is healthy again", "UP", "UP")
	const isUp = "Server app/lines is UP"
	envoytest.Eventually(t, envoytest.Limit, "HAProxy has logged the end of both MAINT", func() error {
		if n := len(h.log.Lines(isUp, "leaving forced maintenance")); n != 2 {
			return fmt.Errorf("it has logged %d", n)
		}
		return nil
	})
	before := len(h.log.Lines(isUp))
	n.config.SetMaintenance(true, "healthgate.maintenance")
	become("it is in maintenance", "MAINT", "DOWN")
	n.config.SetMaintenance(false, "healthgate.maintenance")
	become("maintenance is over", "UP", "UP")
	n.envoy.Post("/healthcheck/fail")
	become("Envoy drains", "DRAIN", "DOWN")
	n.envoy.Post("/healthcheck/ok")
	become("Envoy drains no more", "UP", "UP")
	n.app.Answer("/inbound/isalive", http.StatusInternalServerError)
	become("a probe fails", "DOWN", "DOWN")
	n.app.Answer("/inbound/isalive", http.StatusOK)
	become("the probe is well again", "UP", "UP")

	n.config.SetMaintenance(true, "healthgate.maintenance")
	become("it is in maintenance again", "MAINT", "DOWN")
	n.envoy.Stop()
	envoytest.Eventually(t, envoytest.Limit, "the agent finds no Envoy", func() error { return log.Has(" down: ") })
	become("Envoy is gone", "DOWN", "DOWN")
	n.config.SetMaintenance(false, "healthgate.maintenance")
	n.envoy = envoytest.Start(t, n.config, 1)
	become("Envoy came back", "UP", "UP")

	if err := agent.Stop(envoytest.Limit); err != nil {
		t.Errorf("the agent did not end well: %v", err)
	}
	become("the agent is gone", "DOWN", "DOWN")
	if n := len(h.log.Lines(isUp)) - before; n != 4 {
		t.Errorf("the server came UP %d times: %q", n, h.log.Lines("Server app/lines"))
	}
	if n := len(log.Lines("Z ")); n > 30 {
		t.Errorf("the agent wrote %d lines, more than one for each change", n)
	}
}

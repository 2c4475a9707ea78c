package e2e

import (
	"net"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestIPv6 listens on ::1: once as shipped, which trusts it, and once with every other address trusted.
func TestIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Fatalf("these tests need the IPv6 loopback address: %v", err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	other := config.AddListener("other")
	other.Change(func(s object) {
		envoytest.At[object](s, "endpoints", 0, "trusted")["cidrs"] = []any{"::2/128", "127.0.0.0/8", "0.0.0.0/0"}
	})
	for _, name := range []string{"ingress", "other"} {
		// The port is reserved on 127.0.0.1, where nothing listens. Nothing else asks for one on ::1.
		envoytest.At[object](config.Listener(name).Object, "address", "socket_address")["address"] = "::1"
	}
	start(t, a, config, 1)
	address := func(l *envoytest.Listener) string {
		_, port, _ := net.SplitHostPort(l.Address())
		return net.JoinHostPort("::1", port)
	}
	loyal, strict := from("::1", address(config.Listener("ingress"))), from("::1", address(other))
	envoytest.Eventually(t, envoytest.Limit, "::1 is trusted", loyal.gets(check, 200, "OK"))
	passesUnchanged(t, a, loyal, "GET", "/shop", check, []string{"X-Expected: yes", "X-Forwarded-For: ::1"})
	passesUnchanged(t, a, strict, "GET", "/shop", check, []string{"X-Expected: yes"})
	strict.get(t, check).isApp(t, check)
}

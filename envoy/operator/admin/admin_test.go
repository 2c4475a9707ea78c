package admin

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// TestSilent: an Envoy that is starting accepts connections, and answers none before its plugins are compiled.
func TestSilent(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := New(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Runtime(ctx); err == nil || !strings.HasPrefix(err.Error(), "no answer in time") {
		t.Errorf("it says %v", err)
	}
}

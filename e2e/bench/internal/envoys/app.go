package envoys

import (
	"net"
	"net/http"
	"time"

	"github.com/healthgate/healthgate/envoy/demoapp"
)

// App is the demo application on a loopback port, all of its nodes well.
type App struct {
	*demoapp.App
	Port   int
	server *http.Server
}

// StartApp starts one.
func StartApp() (*App, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &App{
		App:  demoapp.New(func(string, ...any) {}, "inbound", "outbound", "stats"),
		Port: listener.Addr().(*net.TCPAddr).Port,
	}
	a.server = &http.Server{Handler: a.App, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.server.Serve(listener) }() // until Close
	return a, nil
}

// Close stops it.
func (a *App) Close() { _ = a.server.Close() }

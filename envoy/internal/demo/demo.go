// Package demo runs an Envoy with healthgate in front of a small application, and says what to try with them.
package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/demoapp"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/envoy/run"
)

type settings struct {
	options
	binary, version, state, logLevel string
	workers                          int
	appOnly                          bool
}

// Main is the command demo. It returns the exit code.
func Main() int {
	var s settings
	flag.IntVar(&s.Port, "port", 10000, "where Envoy listens")
	flag.IntVar(&s.AdminPort, "admin-port", 9901, "where Envoy's admin listens")
	flag.IntVar(&s.AppPort, "app-port", 7070, "where the application listens")
	flag.StringVar(&s.binary, "envoy", "", "path of an Envoy (default: what scripts/get-envoy finds or fetches)")
	flag.StringVar(&s.version, "envoy-version", "", "Envoy version to ask scripts/get-envoy for")
	flag.StringVar(&s.Wasm, "wasm", "build/healthgate.wasm", "path of the plugin")
	flag.StringVar(&s.state, "state", "build", "folder for Envoy's configuration and the disk runtime layer, "+
		"which is kept")
	flag.IntVar(&s.workers, "workers", 2, "Envoy's workers")
	flag.BoolVar(&s.appOnly, "app-only", false, "run no Envoy, only the application, and write the plugin's "+
		"configuration to STATE/healthgate.json")
	flag.StringVar(&s.logLevel, "log-level", "warning", "Envoy's log level; the plugin's own is always info")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Runs Envoy with healthgate, and an application behind it, until Ctrl-C.\n"+
			"Start it in the repository's root, or by: make run ARGS='-port 10001'\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := serve(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, s settings) (err error) {
	out := &lines{w: os.Stdout}
	say := out.logger("demo ")

	if s.appOnly {
		return runApp(ctx, s, out)
	}
	if _, err := os.Stat(s.Wasm); err != nil {
		return fmt.Errorf("there is no plugin at %s: run `make filter` first", s.Wasm)
	}
	for _, p := range []struct {
		flag string
		port int
	}{{"port", s.Port}, {"admin-port", s.AdminPort}} {
		l, err := listen(p.flag, p.port)
		if err != nil {
			return err
		}
		l.Close() // only a try: Envoy will listen there
	}
	app, err := startApp(s, out)
	if err != nil {
		return err
	}
	defer app.Close()

	if s.binary == "" {
		if s.binary, err = run.Binary(ctx, ".", s.version, os.Stderr); err != nil {
			if ctx.Err() != nil {
				return nil // Ctrl-C while fetching
			}
			return err
		}
	}
	config, err := writeConfig(ctx, &s)
	if err != nil {
		return err
	}
	say("starting %s -c %s", s.binary, config)
	stdout, stderr := out.writer("log  "), out.writer("envoy")
	command := run.Command{
		Binary: s.binary, Config: config, AdminPort: s.AdminPort, Concurrency: s.workers,
		Stdout: stdout, Stderr: stderr, OwnGroup: true,
		Args: []string{
			"--log-level", s.logLevel, "--component-log-level", "wasm:info", "--log-format", "%T [%l] %v",
			"--file-flush-interval-msec", "200", // the access log, too, shows what just happened
		},
	}
	p, err := command.Start()
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := p.Stop(10 * time.Second); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
		say("stopped")
	}()

	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.Ready(ready); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting
		}
		return err
	}
	firstAnswer(ctx, s.Port)
	if ctx.Err() == nil {
		out.print(guide(s))
	}
	select {
	case <-ctx.Done():
		say("stopping")
		return nil
	case <-p.Done():
		return errors.New("Envoy ended by itself, see its log above")
	}
}

func startApp(s settings, out *lines) (*http.Server, error) {
	l, err := listen("app-port", s.AppPort)
	if err != nil {
		return nil, err
	}
	app := &http.Server{
		Handler:           demoapp.New(out.logger("app  "), "inbound", "outbound", "stats"),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		if err := app.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			out.logger("demo ")("the application serves no more: %v", err)
		}
	}()
	out.logger("demo ")("application on 127.0.0.1:%d", s.AppPort)
	return app, nil
}

// runApp is for a host other than Envoy, such as hostsim.
func runApp(ctx context.Context, s settings, out *lines) error {
	config, err := pluginConfig()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.state, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.state, "healthgate.json"), config, 0o644); err != nil {
		return err
	}
	app, err := startApp(s, out)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return app.Close()
}

func listen(flag string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is taken. Stop what listens there (to find it: ss -ltnp 'sport = :%d', or "+
			"lsof -i :%d), or choose another: make run ARGS='-%s %d'", port, port, port, flag, port+1)
	}
	return l, err
}

// writeConfig writes Envoy's bootstrap, and makes the disk layer it reads unless there is one: what was set there in
// an earlier run still holds.
func writeConfig(ctx context.Context, s *settings) (string, error) {
	s.RuntimeRoot = filepath.Join(s.state, "runtime", "current")
	if err := os.MkdirAll(filepath.Dir(s.RuntimeRoot), 0o755); err != nil {
		return "", err
	}
	if err := (layer.DiskLayer{Root: s.RuntimeRoot, Subdirectory: new(string)}).Apply(ctx, nil); err != nil {
		return "", fmt.Errorf("can't make the disk runtime layer: %w", err)
	}
	text, err := bootstrap(s.options)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.state, "envoy.yaml")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// firstAnswer waits until the check's state is known, for as long as that normally takes.
func firstAnswer(ctx context.Context, port int) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/my-service/healthcheck",
			port), nil)
		if err != nil {
			return
		}
		if resp, err := client.Do(req); err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if !strings.HasPrefix(string(body), "UNKNOWN") {
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

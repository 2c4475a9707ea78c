package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Command says how to start an Envoy.
type Command struct {
	Binary      string
	Config      string // the path of its bootstrap
	AdminPort   int    // as in that bootstrap
	Concurrency int    // workers; 0 is one for each CPU
	Stdout      io.Writer
	Stderr      io.Writer
	Args        []string // more arguments
	HotRestart  bool     // Args name the Envoys that hand over to each other
	OwnGroup    bool     // Ctrl-C in a terminal does not reach Envoy, which ends when it is told to and not before
}

// Envoy is a running Envoy.
type Envoy struct {
	*Process
	AdminURL string
}

// Start starts an Envoy. Wait for Ready before its first request, and Stop it in the end.
func (c *Command) Start() (*Envoy, error) {
	cmd := exec.Command(c.Binary, append([]string{"-c", c.Config}, c.Args...)...)
	if !c.HotRestart { // several Envoys on one machine would otherwise take each other for the one to restart from
		cmd.Args = append(cmd.Args, "--disable-hot-restart")
	}
	if c.Concurrency > 0 {
		cmd.Args = append(cmd.Args, "--concurrency", strconv.Itoa(c.Concurrency))
	}
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: c.OwnGroup}
	p, err := Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("can't start Envoy: %w", err)
	}
	return &Envoy{p, "http://127.0.0.1:" + strconv.Itoa(c.AdminPort)}, nil
}

// Ready waits until Envoy serves requests: it has compiled its plugins then, and its listeners are open. It looks every
// few milliseconds.
func (e *Envoy) Ready(ctx context.Context) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		state, err := e.state(ctx)
		if err == nil && state == "LIVE" {
			return nil
		}
		select {
		case <-e.Done():
			return fmt.Errorf("Envoy ended before it was ready: %v", e.State())
		case <-ctx.Done():
			return fmt.Errorf("Envoy is not ready, its state is %q: %w", state, errors.Join(ctx.Err(), err))
		case <-look.C:
		}
	}
}

// Client opens a connection for each request, so that no connection is kept when an Envoy goes.
var Client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (e *Envoy) state(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.AdminURL+"/ready", nil)
	if err != nil {
		return "", err
	}
	response, err := Client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}

// Binary asks scripts/get-envoy of the repository at root for an Envoy of this version, or, if it is "", the newest.
// That may fetch one, which the script tells on progress.
func Binary(ctx context.Context, root, version string, progress io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "get-envoy"))
	if version != "" {
		cmd.Args = append(cmd.Args, version)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // let it clean up
	cmd.Stderr = progress
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("there is no Envoy to run: %s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(path)), nil
}

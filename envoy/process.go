package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
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
}

// Process is a running Envoy.
type Process struct {
	AdminURL string
	cmd      *exec.Cmd
	done     chan struct{}
	err      error
}

// Start starts an Envoy. Wait for Ready before its first request, and Stop it in the end.
func Start(c Command) (*Process, error) {
	// Several Envoys on one machine would otherwise take each other for the one to restart from.
	args := append([]string{"-c", c.Config, "--disable-hot-restart"}, c.Args...)
	if c.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(c.Concurrency))
	}
	p := &Process{
		AdminURL: fmt.Sprintf("http://127.0.0.1:%d", c.AdminPort),
		cmd:      exec.Command(c.Binary, args...),
		done:     make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = c.Stdout, c.Stderr
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("can't start Envoy: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when Envoy has ended, whoever ended it.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ready waits until Envoy serves requests.
func (p *Process) Ready(ctx context.Context) error {
	for {
		if body, err := get(ctx, p.AdminURL+"/ready"); err == nil && strings.TrimSpace(body) == "LIVE" {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("Envoy ended before it was ready: %w", p.exit())
		case <-ctx.Done():
			return fmt.Errorf("Envoy is not ready: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends Envoy, by force if it has not ended after the grace.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("Envoy did not end within %s, killed it", grace), err)
}

func (p *Process) exit() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

package envoys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/proc"
	"github.com/healthgate/healthgate/envoy/run"
)

// Envoy is a running one.
type Envoy struct {
	*run.Envoy
	ReadyAfter time.Duration // from its start until its admin interface called it live; listeners are open then

	log *os.File
}

// Start starts an Envoy with the bootstrap and waits until it is live. Workers are its --concurrency.
func Start(ctx context.Context, binary string, c *Config, workers int) (*Envoy, error) {
	path, err := c.write()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.dir, "envoy.log"))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	command := run.Command{
		Binary: binary, Config: path, AdminPort: c.AdminPort, Concurrency: workers, Stdout: log, Stderr: log,
		// A stopped Envoy would wait for its connections.
		Args: []string{"--log-level", "warning", "--drain-time-s", "1"},
	}
	p, err := command.Start()
	if err != nil {
		log.Close()
		return nil, err
	}
	e := &Envoy{Envoy: p, log: log}
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := p.Ready(ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, e.Log()), e.Stop())
	}
	e.ReadyAfter = time.Since(began)
	return e, nil
}

// CPU returns the CPU time that Envoy has used since it started, all its threads together.
func (e *Envoy) CPU() (time.Duration, error) { return proc.CPU(e.PID()) }

// Memory returns the memory that Envoy holds.
func (e *Envoy) Memory() (proc.Memory, error) { return proc.MemoryOf(e.PID()) }

// SetRuntime sets keys of the admin layer, given as key, value, key, value…; an empty value takes the key out.
func (e *Envoy) SetRuntime(ctx context.Context, pairs ...string) error {
	var query []string
	for i := 0; i < len(pairs); i += 2 {
		query = append(query, pairs[i]+"="+pairs[i+1])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.AdminURL+"/runtime_modify?"+strings.Join(query, "&"), nil)
	if err != nil {
		return err
	}
	status, body, err := read(req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", req.URL, status, body)
	}
	return err
}

// Log returns the end of what Envoy has logged.
func (e *Envoy) Log() string {
	text, err := os.ReadFile(e.log.Name())
	if err != nil {
		return err.Error()
	}
	const most = 1500
	return string(text[max(0, len(text)-most):])
}

// Stop ends Envoy.
func (e *Envoy) Stop() error {
	defer e.log.Close()
	return e.Envoy.Stop(10 * time.Second)
}

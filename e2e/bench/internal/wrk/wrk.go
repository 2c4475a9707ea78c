// Package wrk runs wrk, the HTTP load generator (https://github.com/wg/wrk), in a closed loop: each connection sends
// its next request as soon as it has the answer to the last.
package wrk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/cpu"
)

// Load says what to send.
type Load struct {
	URL         string
	Connections int
	Duration    time.Duration // rounded to whole seconds, at least one: wrk takes no less
}

// Result is what came of it.
type Result struct {
	Requests  int     // answered
	PerSecond float64 // requests a second
}

// Missing is the remedy when there is no wrk.
const Missing = "wrk, the load generator, is missing: apt-get install wrk (Debian, Ubuntu), brew install wrk (macOS), " +
	"or https://github.com/wg/wrk"

// Find returns the path of wrk.
func Find() (string, error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return "", errors.New(Missing)
	}
	return path, nil
}

// Version returns the version that wrk says it is.
func Version(ctx context.Context, path string) string {
	out, _ := exec.CommandContext(ctx, path, "-v").CombinedOutput() // wrk -v ends with status 1
	line, _, _ := strings.Cut(string(out), " [")
	return strings.TrimPrefix(line, "wrk ")
}

// Run sends the load from one thread, on the CPU that cpu.OnOne chooses. An answer that is not 2xx or 3xx, or none, is an error: a server that
// fails requests must not look fast.
func Run(ctx context.Context, path string, l Load) (Result, error) {
	seconds := max(1, int(l.Duration.Round(time.Second)/time.Second))
	cmd := exec.CommandContext(ctx, path, "-t1", "-c"+strconv.Itoa(l.Connections), fmt.Sprintf("-d%ds", seconds), l.URL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cpu.OnOne(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &out)
	}
	r, err := parse(out.String())
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return r, nil
}

var (
	requests  = regexp.MustCompile(`(?m)^\s*(\d+) requests in`)
	perSecond = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	failures  = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$`)
)

func parse(out string) (Result, error) {
	if failed := failures.FindString(out); failed != "" {
		return Result{}, errors.New(strings.TrimSpace(failed))
	}
	count, rate := requests.FindStringSubmatch(out), perSecond.FindStringSubmatch(out)
	if count == nil || rate == nil {
		return Result{}, fmt.Errorf("wrk said something else than usual: %q", out)
	}
	var r Result
	var err1, err2 error
	r.Requests, err1 = strconv.Atoi(count[1])
	r.PerSecond, err2 = strconv.ParseFloat(rate[1], 64)
	if err := errors.Join(err1, err2); err != nil {
		return Result{}, err
	}
	if r.Requests == 0 {
		return Result{}, errors.New("no request was answered")
	}
	return r, nil
}

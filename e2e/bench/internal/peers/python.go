package peers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/bench/internal/proc"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// FlaskAlone is the peer that traffic through the middleware is compared with.
const FlaskAlone = "Flask, no middleware"

// startPython starts the servers that are no Envoy: gunicorn, each with one worker of its default kind.
func (f *Fleet) startPython(ctx context.Context, env *bench.Env, appPort int) error {
	python, missing := installPython(ctx, env)
	for _, p := range []struct {
		Peer
		app string
	}{
		{Peer{Name: "watchdog (Flask, gunicorn)", Checks: true, Answers: "OK", asksNodes: true}, "watchdog:app"},
		{Peer{Name: FlaskAlone, Passes: true, TrafficBase: FlaskAlone}, "middleware:bare"},
		{Peer{Name: "WSGI middleware (Flask, gunicorn)", Checks: true, Passes: true, TrafficBase: FlaskAlone, knowsSource: true}, "middleware:application"},
	} {
		p.Missing = missing
		f.Peers = append(f.Peers, &p.Peer)
		if missing != "" {
			continue
		}
		port, release, err := envoys.ReservePort()
		if err != nil {
			return err
		}
		f.stops = append(f.stops, release)
		address := envoytest.Loopback(port)
		cmd := exec.Command(python, "-m", "gunicorn", "--workers", "1", "--log-level", "warning",
			"--chdir", filepath.Join(env.Root, "e2e", "bench", "peers", "python"), "--bind", address, p.app)
		cmd.Env = append(os.Environ(), "APP=http://"+envoytest.Loopback(appPort), "PYTHONDONTWRITEBYTECODE=1")
		log, err := os.Create(filepath.Join(env.Dir, p.app+".log"))
		if err != nil {
			return err
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		stop, err := start(cmd)
		if err != nil {
			return fmt.Errorf("gunicorn: %w", err)
		}
		f.stops = append(f.stops, stop)
		p.URL = "http://" + address
		p.CPU = func() (time.Duration, error) { return proc.TreeCPU(cmd.Process.Pid) }
	}
	return nil
}

// installPython returns a Python that has the requirements, or why there is none.
func installPython(ctx context.Context, env *bench.Env) (python, missing string) {
	requirements := filepath.Join(env.Root, "e2e", "bench", "peers", "python", "requirements.txt")
	text, err := os.ReadFile(requirements)
	if err != nil {
		return "", err.Error()
	}
	home := filepath.Join(env.Root, ".tools", fmt.Sprintf("bench-python-%x", sha256.Sum256(text))[:24])
	python = filepath.Join(home, "bin", "python")
	complete := filepath.Join(home, "complete")
	if _, err := os.Stat(complete); err != nil {
		env.Logf("installing Flask and gunicorn into %s", home)
		for _, command := range [][]string{
			{"python3", "-m", "venv", "--clear", home},
			{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
				"--only-binary", ":all:", "--require-hashes", "-r", requirements},
		} {
			if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
				return "", fmt.Sprintf("%s: %v: %s", strings.Join(command[:3], " "), err, bench.LastLine(out))
			}
		}
		if err := os.WriteFile(complete, nil, 0o644); err != nil {
			return "", err.Error()
		}
	}
	env.Used("Python", strings.TrimPrefix(bench.FirstLine(ctx, python, "--version"), "Python "))
	for _, name := range []string{"Flask", "gunicorn"} {
		_, rest, _ := strings.Cut(string(text), "\n"+name+"==")
		version, _, _ := strings.Cut(rest, " ")
		env.Used(name, version)
	}
	return python, ""
}

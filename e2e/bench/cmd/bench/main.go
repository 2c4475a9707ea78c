// Command bench measures healthgate beside what else could answer a load balancer's health checks. See ../../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/published"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/system"
	"github.com/healthgate/healthgate/e2e/bench/internal/wrk"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		list    = flags.String("sections", "", "what to measure, as in checks,traffic (default all)")
		rounds  = flags.Int("rounds", 11, "how often each case is measured")
		quick   = flags.Bool("quick", false, "see that all works: the figures are worth nothing")
		lock    = flags.String("lock", "", "a file to lock (flock(2)) while measuring, so that others on this machine can keep out")
		publish = flags.Bool("publish", false, "measure nothing: put the last report into the documents")
		seed    = flags.Uint64("seed", 0, "of the order of the cases; 0 draws one")
	)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: bench [flags]\n\nMeasures, and writes build/bench/report.json, report.md and report.svg.\n\nSections:\n")
		for _, s := range sections {
			fmt.Fprintf(stderr, "  %-10s %s\n", s.ID, s.Summary)
		}
		fmt.Fprintf(stderr, "\nFlags:\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errUsage
	}
	chosen, err := selected(*list)
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("what is %q?", flags.Args())
	case *rounds < 1:
		err = fmt.Errorf("-rounds %d is too few", *rounds)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		flags.Usage()
		return errUsage
	}
	output := filepath.Join(envoytest.Root, "build", "bench")

	if *publish {
		r, err := report.Read(filepath.Join(output, "report.json"))
		if err != nil {
			return err
		}
		return published.Publish(envoytest.Root, r, ids())
	}

	env, err := environment(ctx, stderr)
	if err != nil {
		return err
	}
	env.Quick, env.Rounds, env.Lock = *quick, *rounds, *lock
	if env.Quick {
		env.Rounds = 2
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	env.Rand = rand.New(rand.NewPCG(*seed, 0))
	env.Logf("seed %d", *seed)
	failed := measureAll(ctx, env, chosen, output)
	text, err := os.ReadFile(filepath.Join(output, "report.md"))
	if err == nil {
		_, err = stdout.Write(text)
	}
	if failed != nil && os.IsNotExist(err) {
		err = nil // nothing was measured, and failed says why
	}
	return errors.Join(failed, err)
}

// measureAll runs the sections one after the other. One that fails does not keep the next from running, only the end of
// ctx does.
func measureAll(ctx context.Context, env *bench.Env, chosen []bench.Section, output string) error {
	var failed []error
	for i, s := range chosen {
		began := time.Now()
		env.Logf("section %s (%d of %d): %s", s.ID, i+1, len(chosen), s.Summary)
		err := measure(ctx, env, s, output)
		if ctx.Err() != nil {
			return errors.Join(append(failed, fmt.Errorf("interrupted in section %s: the figures of the sections before it are kept", s.ID))...)
		}
		if err != nil {
			err = fmt.Errorf("section %s: %w", s.ID, err)
			env.Logf("%v", err)
			failed = append(failed, err)
		}
		env.Logf("section %s took %s", s.ID, time.Since(began).Round(time.Second))
	}
	return errors.Join(failed...)
}

func environment(ctx context.Context, stderr io.Writer) (*bench.Env, error) {
	env := &bench.Env{
		Root: envoytest.Root,
		Logf: func(format string, args ...any) {
			fmt.Fprintf(stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
		},
	}
	var err error
	if env.Wrk, err = wrk.Find(); err != nil {
		return nil, err
	}
	get := exec.CommandContext(ctx, filepath.Join(env.Root, "scripts", "get-envoy"))
	if version := os.Getenv("HEALTHGATE_ENVOY_VERSION"); version != "" {
		get.Args = append(get.Args, version)
	}
	get.Stderr = stderr
	path, err := get.Output()
	if err != nil {
		return nil, fmt.Errorf("there is no Envoy, see above: %w", err)
	}
	env.Envoy = strings.TrimSpace(string(path))
	env.Used("Envoy", bench.EnvoyVersion(ctx, env.Envoy))
	env.Used("wrk", wrk.Version(ctx, env.Wrk))
	env.Used("Go", bench.GoVersion(ctx))
	return env, nil
}

// measure runs a section, and writes the report anew: what was measured is not lost when another section, or a part of
// this one, fails.
func measure(ctx context.Context, env *bench.Env, s bench.Section, output string) error {
	var err error
	if env.Dir, err = os.MkdirTemp("", "healthgate-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(env.Dir)
	tables, failed := s.Measure(ctx, env)
	tables = slices.DeleteFunc(tables, func(t report.Table) bool { return len(t.Rows) == 0 })
	if len(tables) == 0 || ctx.Err() != nil {
		return failed
	}
	now, commit := time.Now().UTC().Truncate(time.Second), system.Commit(env.Root)
	for i := range tables {
		t := &tables[i]
		t.Section, t.Measured, t.Commit, t.Quick = s.ID, now, commit, env.Quick
	}
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	path := filepath.Join(output, "report.json")
	old, err := report.Read(path)
	if err != nil {
		return err
	}
	latest := report.Report{Machine: system.Machine(), Versions: env.Versions(), Tables: tables}
	return errors.Join(failed, write(output, report.Merge(old, latest, ids())))
}

func write(output string, r report.Report) error {
	text, err := r.JSON()
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"report.json": string(text),
		"report.md":   r.Markdown(2),
		"report.svg":  r.SVG(),
	} {
		if err := os.WriteFile(filepath.Join(output, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

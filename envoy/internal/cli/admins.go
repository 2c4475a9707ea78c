package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/fleet"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// admins are the flags that say which Envoys are asked, and how.
type admins struct {
	addresses []string
	file      string
	lines     []fleet.Line // of the file
	selector  string
	pods      fleet.Pods
	parallel  int
	files     admin.Files
	secrets   *admin.Access // of the files
	urls      []string      // of status endpoints, for which certificates are, too
}

func (a *admins) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&a.addresses, "admin", nil,
		"an Envoy's admin `ADDRESS`: http(s)://HOST:PORT, with a path before a proxy; HOST:PORT or unix:///PATH; "+
			"may be repeated (default "+render.DefaultAdmin+", unless another place is given)")
	f.StringVar(&a.file, "admins-file", "", "`FILE` with such an address in each line, - for standard input; "+
		"what follows a # is a comment")
	f.StringVar(&a.selector, "selector", "",
		"the running pods with these labels, `KEY=VALUE` and so on: each admin's port is forwarded by kubectl")
	f.StringVar(&a.pods.Namespace, "namespace", "", "`NAME` of the pods' namespace (default: kubectl's own)")
	f.Uint16Var(&a.pods.Port, "admin-port", 9901, "`PORT` of admin in the pods; Istio's is 15000")
	f.IntVar(&a.parallel, "parallel", 50, "with how many Envoys, `N`, something is done at once")
	a.access(f)
}

// access are the flags that say how an admin is reached.
func (a *admins) access(f *pflag.FlagSet) {
	f.StringVar(&a.files.Login, "admin-auth-file", "",
		"`FILE` with the login of the admins, USER:PASSWORD or a bearer token (default: what "+admin.LoginVariable+" holds)")
	a.certificates(f)
}

func (a *admins) certificates(f *pflag.FlagSet) {
	f.StringVar(&a.files.CA, "admin-ca-file", "",
		"PEM `FILE` of the authorities of https:// admins (default: the system's)")
	f.StringVar(&a.files.Cert, "admin-cert-file", "", "PEM `FILE` with the client's certificate for https:// admins")
	f.StringVar(&a.files.Key, "admin-key-file", "", "PEM `FILE` with the key of that certificate")
}

// orDefault has the Envoy asked that render makes, unless another is given.
func (a *admins) orDefault() {
	if len(a.addresses) == 0 && a.file == "" && a.selector == "" {
		a.addresses = []string{render.DefaultAdmin}
	}
}

// clients checks the flags, and returns the Envoys. It connects to none.
func (a *admins) clients(cmd *cobra.Command) ([]*admin.Client, error) {
	if a.parallel < 1 {
		return nil, &render.OptionError{Flag: "parallel", What: strconv.Itoa(a.parallel) + " is none at once"}
	}
	if a.selector == "" {
		for _, flag := range []string{"namespace", "admin-port"} {
			if cmd.Flags().Changed(flag) {
				return nil, fmt.Errorf("--%s: is for --selector", flag)
			}
		}
	}
	return a.list(cmd.Context(), cmd.InOrStdin())
}

// list reads who the Envoys are.
func (a *admins) list(ctx context.Context, stdin io.Reader) ([]*admin.Client, error) {
	var lines []fleet.Line
	for _, address := range a.addresses {
		lines = append(lines, fleet.Line{Address: address})
	}
	if a.file != "" {
		if a.lines == nil || !piped(a.file) {
			var err error
			if a.lines, err = a.read(ctx, stdin); err != nil {
				return nil, err
			}
		}
		lines = append(lines, a.lines...)
	}
	if len(lines) == 0 && a.selector == "" {
		isHTTPS := func(url string) bool { return strings.HasPrefix(url, "https:") }
		switch {
		case a.files.Login != "" || len(a.urls) == 0 && a.files != (admin.Files{}):
			return nil, errors.New("--admin-auth-file, --admin-ca-file, --admin-cert-file, --admin-key-file: " +
				"are for --admin, and none is given")
		case a.files != (admin.Files{}) && !slices.ContainsFunc(a.urls, isHTTPS):
			return nil, errors.New("--admin-ca-file, --admin-cert-file, --admin-key-file: are for an https:// --status-url, " +
				"and none is given")
		}
		return nil, nil
	}
	access, err := a.open()
	if err != nil {
		return nil, err
	}
	var out []*admin.Client
	given := map[string]bool{}
	for _, line := range lines {
		flag := "--admin: "
		if line.Place != "" {
			flag = "--admins-file: " + line.Place + ": "
		}
		client, err := admin.New(line.Address, access)
		if err != nil && line.Place != "" { // what stands there may be a login
			return nil, errors.New(flag + strings.ReplaceAll(err.Error(), strconv.Quote(line.Address), "the line"))
		} else if err != nil {
			return nil, fmt.Errorf("%s%w", flag, err)
		}
		place := strings.TrimRight(strings.TrimPrefix(line.Address, "http://"), "/")
		if given[place] { // it would be counted as two that are done
			return nil, fmt.Errorf("%s%s is given twice: is one of them to be another Envoy?", flag, line.Address)
		}
		given[place] = true
		client.Flags = a.reach("--admin", line.Address)
		out = append(out, client)
	}
	if a.selector == "" {
		return out, nil
	}
	pods, err := a.pods.Find(ctx, a.selector)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, failure{errors.New("--selector: kubectl does not answer")}
	case ctx.Err() != nil:
		return nil, failure{errInterrupted}
	case errors.Is(err, fleet.ErrNoKubectl):
		return nil, fmt.Errorf("--selector: %w", err)
	case err != nil:
		return nil, failure{fmt.Errorf("--selector: %w", err)}
	case len(pods) == 0:
		return nil, fmt.Errorf("--selector: no running pod has %s", a.selector)
	}
	for _, pod := range pods {
		client := admin.Through(pod, access, a.pods.Forward(pod))
		client.Flags = a.reach("--selector", a.selector, "--namespace", a.pods.Namespace, "--admin-port",
			strconv.Itoa(int(a.pods.Port)))
		out = append(out, client)
	}
	return out, nil
}

// reach returns flags with those of the secrets, as a shell takes them.
func (a *admins) reach(flags ...string) string {
	return document.Shell(given(append(flags, "--admin-auth-file", a.files.Login, "--admin-ca-file", a.files.CA,
		"--admin-cert-file", a.files.Cert, "--admin-key-file", a.files.Key)...)...)
}

// given returns those of flags, each with its value behind it, that have one.
func given(flags ...string) (out []string) {
	for f := range slices.Chunk(flags, 2) {
		if f[1] != "" {
			out = append(out, f...)
		}
	}
	return out
}

// open reads the files with secrets.
func (a *admins) open() (admin.Access, error) {
	f := &a.files
	if a.secrets != nil && slices.ContainsFunc([]string{f.Login, f.CA, f.Cert, f.Key}, piped) {
		return *a.secrets, nil
	}
	access, err := f.Open()
	if err == nil {
		a.secrets = &access
	}
	return access, err
}

// piped reports whether a file can be read once alone, as a pipe from another command.
func piped(name string) bool {
	info, err := os.Stat(name)
	return name == "-" || err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice|fs.ModeSocket) != 0
}

// read reads the file with addresses. Ctrl-C ends it also while nothing is typed.
func (a *admins) read(ctx context.Context, stdin io.Reader) ([]fleet.Line, error) {
	type content struct {
		lines []fleet.Line
		err   error
	}
	done := make(chan content, 1)
	go func() {
		name, read := a.file, func() ([]byte, error) { return readFile(a.file) }
		if a.file == "-" {
			name, read = "standard input", func() ([]byte, error) { return readAll(name, stdin) }
		}
		text, err := read()
		if err != nil {
			done <- content{nil, err}
			return
		}
		lines, err := fleet.Lines(name, string(text))
		done <- content{lines, err}
	}()
	select {
	case c := <-done:
		if c.err != nil {
			return nil, fmt.Errorf("--admins-file: %w", c.err)
		}
		return c.lines, nil
	case <-ctx.Done():
		return nil, failure{errInterrupted}
	}
}

// each does something with each of n Envoys, with as many at once as is allowed.
func (a *admins) each(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(a.parallel)
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = group.Wait() // none fails
}

const (
	fresh = time.Second     // for so long an answer counts, besides the time that it took
	stale = 3 * time.Second // an Envoy that was asked longer ago gets a note
)

// latest asks each of n Envoys, and again those whose answers are old when all have answered. Those are old, too, for
// which ask reports that it has waited. There is a note, else empty, of each Envoy whose answer is old all the same.
func (a *admins) latest(ctx context.Context, n int, ask func(i int) (waited bool)) []string {
	notes, todo, waited := make([]string, n), make([]int, n), make([]bool, n)
	begin, took := make([]time.Time, n), make([]time.Duration, n)
	for i := range todo {
		todo[i] = i
	}
	for round, asked := 0, 0; len(todo) > 0 && (round < 2 || len(todo) < asked); round++ {
		a.each(len(todo), func(k int) {
			i := todo[k]
			begin[i] = time.Now()
			waited[i] = ask(i)
			took[i] = time.Since(begin[i])
		})
		asked, todo = len(todo), nil
		for i := range n {
			if ctx.Err() == nil && (waited[i] || time.Since(begin[i]) > fresh+2*took[i]) {
				todo = append(todo, i)
			}
		}
	}
	for i := range n {
		if age := time.Since(begin[i]); age > stale {
			notes[i] = "it was asked " + age.Round(100*time.Millisecond).String() + " ago, for answers are slow: " +
				"it may be another way since"
		}
	}
	return notes
}

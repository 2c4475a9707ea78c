package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"golang.org/x/sys/unix"
)

// onTerminal returns what status --watch writes to a terminal of so many rows, until Ctrl-C after some screens.
func onTerminal(t *testing.T, rows uint16, flags ...string) string {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1") // colours are another matter than a screen
	master := must.Get(os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0))(t)
	defer master.Close()
	must.Do(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number := must.Get(unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN))(t)
	terminal := must.Get(os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0))(t)
	must.Do(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: 80}))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	root := newRoot(thisBuild("", ""))
	root.SetOut(terminal)
	root.SetArgs(append([]string{"status", "--watch", "--interval", "10ms"}, flags...))
	done := make(chan error, 1)
	go func() {
		done <- root.ExecuteContext(ctx)
		_ = terminal.Close()
	}()
	var shown strings.Builder
	buffer := make([]byte, 4096)
	for frames := 0; ; {
		n, err := master.Read(buffer)
		shown.Write(buffer[:n])
		if err != nil { // the terminal was closed
			break
		}
		if frames += strings.Count(string(buffer[:n]), clearBelow); frames > 3 {
			interrupt()
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	return shown.String()
}

// watchedAdmin starts an admin that tells of one health check and one probe.
func watchedAdmin(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/runtime":
			fmt.Fprint(w, `{"layers": [], "entries": {}}`)
		case "/stats":
			fmt.Fprint(w, "wasmcustom.healthgate_maintenance.endpoint.shop: 1\nwasmcustom.healthgate_probe_up.probe.web: 1\n")
		case "/ready":
			fmt.Fprint(w, "LIVE")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// On a terminal, --watch has a screen of its own, with a clock and the verdicts first, and Ctrl-C leaves the terminal
// as it was, with its scrollback.
func TestWatchOnTerminal(t *testing.T) {
	text := onTerminal(t, 8, "--admin", watchedAdmin(t))
	if !strings.HasPrefix(text, enterScreen) || !strings.HasSuffix(text, leaveScreen) ||
		strings.Contains(text, "\x1b[3J") {
		t.Errorf("the terminal is not left as it was: %q", text)
	}
	clock, verdict, cut := strings.Index(text, "every 10ms"), strings.Index(text,
		"shop"), strings.Index(text, "more lines")
	if clock < 0 || verdict < clock || cut < verdict || strings.Contains(text, "\x1b[3") {
		t.Errorf("clock at %d, verdict at %d, the rest cut at %d, of %q", clock, verdict, cut, text)
	}
}

// Of several Envoys each one's probes and notes stand below its name, too: they are apart from its verdicts.
func TestWatchOfSeveral(t *testing.T) {
	a, b := watchedAdmin(t), watchedAdmin(t)
	text, _, _ := strings.Cut(onTerminal(t, 80, "--admin", a, "--admin", b), clearBelow)
	rest := text
	for _, next := range []string{a + "  1 of 1", "shop", b + "  1 of 1", "shop", a + clearLine, "PROBE", "web",
		b + clearLine, "PROBE", "web"} {
		_, after, found := strings.Cut(rest, next)
		if rest = after; !found {
			t.Fatalf("there is no %q after what comes before it:\n%s", next, text)
		}
	}
}

// Ctrl-Z gives the terminal back while the command sleeps.
func TestSuspended(t *testing.T) {
	var writing sync.Mutex
	var shown strings.Builder
	asleep, awake := make(chan string), make(chan struct{})
	end := suspendable(&writing, &shown, func() {
		asleep <- shown.String()
		<-awake
	})
	defer end()
	for range 2 {
		writing.Lock()
		before := shown.String()
		writing.Unlock()
		must.Do(t, unix.Kill(os.Getpid(), unix.SIGTSTP))
		if got := <-asleep; got != before+leaveScreen {
			t.Errorf("asleep: %q", got)
		}
		if writing.TryLock() {
			t.Error("it writes while the command sleeps")
			writing.Unlock()
		}
		awake <- struct{}{}
		writing.Lock()
		if got := shown.String(); got != before+leaveScreen+enterScreen {
			t.Errorf("awake: %q", got)
		}
		writing.Unlock()
	}
}

func TestScreen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rows, columns int
		text, want    string
	}{
		{0, 0, "a\nb\nc\n\n", home + "a\x1b[K\nb\x1b[K\nc\x1b[K\x1b[J"},
		{3, 9, "a\nb\nc\n\n", home + "a\x1b[K\nb\x1b[K\nc\x1b[K\x1b[J"},
		{2, 9, "a\nb\nc\n\n", home + "a\x1b[K\n… and 2 more lines\x1b[K\x1b[J"},
		{9, 4, "shöp  \x1b[1;33m503\x1b[0m", home + "shöp\x1b[K\n  \x1b[1;33m50\x1b[K\n3\x1b[0m\x1b[K\x1b[J"},
		{9, 4, "日a本éxy", home + "日a\x1b[K\n本éx\x1b[K\ny\x1b[K\x1b[J"},
		{2, 4, "12345678\n9", home + "1234\x1b[K\n… and 2 more lines\x1b[K\x1b[J"},
	} {
		t.Run(test.want, func(t *testing.T) {
			if got := screen(test.text, test.rows, test.columns); got != test.want {
				t.Errorf("%d rows: %q", test.rows, got)
			}
		})
	}
}

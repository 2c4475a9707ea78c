package cli

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// serve runs the command of that name. shows waits until a path has a text, and has not another; end ends the command,
// and returns what it wrote to standard error.
func serve(t *testing.T, flags string) (shows func(path, text, not string), end func() string) {
	ctx, interrupt := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	var said, mu = strings.Builder{}, sync.Mutex{}
	stderr := writer(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said.WriteString(text)
	})
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, out, stderr, strings.Fields("serve --listen 127.0.0.1:0 --interval 1s "+flags)...)
		_ = out.Close() // which may have said nothing
	}()
	line := must.Get(bufio.NewReader(stdout).ReadString('\n'))(t)
	url, _, _ := strings.Cut(line, " ")
	shows = func(path, text, not string) {
		t.Helper()
		limit := time.Now().Add(time.Minute)
		for page := ""; !strings.Contains(page, text) || strings.Contains(page, not); {
			if time.Now().After(limit) {
				t.Fatalf("%s shows no %q, or %q:\n%s", path, text, not, page)
			}
			response := must.Get(http.Get(url + path))(t)
			body, err := io.ReadAll(response.Body)
			if _ = response.Body.Close(); err != nil {
				t.Fatal(err)
			}
			page = string(body)
			time.Sleep(50 * time.Millisecond)
		}
	}
	return shows, func() string {
		interrupt()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d", code)
		}
		return said.String()
	}
}

// serve reads again who the Envoys are, and the login. What can't be read leaves those of before, and is said.
func TestServeReadsAgain(t *testing.T) {
	t.Parallel()
	write := func(name, text string) string {
		must.Write(t, name, text)
		return name
	}
	a, b := admintest.Start(t), admintest.Start(t)
	b.Before = func(w http.ResponseWriter, r *http.Request) bool {
		wrong := r.Header.Get("Authorization") != "Bearer new"
		if wrong {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return wrong
	}
	file := write(filepath.Join(t.TempDir(), "shop.txt"), a.URL)
	login := write(filepath.Join(t.TempDir(), "login"), "old")
	shows, end := serve(t, "--admins-file "+file+" --admin-auth-file "+login)
	shows("", "<title>1 healthy ·", b.URL)
	write(file, b.URL)
	shows("", "answered 401", a.URL)
	write(login, "new")
	shows("", "<title>1 healthy ·", a.URL)
	write(file, a.URL+" "+b.URL)
	shows("", "shop.txt:1: ", a.URL+"<")
	shows("", "<title>1 healthy, of an old list ·", "answered 401")
	shows("metrics", "healthgate_fleet_listed 0", a.URL)
	write(file, a.URL+"\n"+b.URL)
	shows("", "<title>2 healthy ·", "old list")
	said := end()
	want := []string{"1 Envoys: 1 new, 1 gone\n--admins-file: ",
		"; the Envoys of before are asked\n2 Envoys: 1 new, 0 gone\n"}
	for _, text := range want {
		if !strings.Contains(said, text) {
			t.Errorf("standard error does not say %q:\n%s", text, said)
		}
	}
}

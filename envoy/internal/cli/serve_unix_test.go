//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// What another command gives by a pipe is read once, and holds.
func TestPipes(t *testing.T) {
	t.Parallel()
	a, asked := admintest.Start(t), atomic.Int32{}
	a.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/config_dump" {
			asked.Add(1)
		}
		wrong := r.Header.Get("Authorization") != "Bearer s3cret"
		if wrong {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return wrong
	}
	flags := func() string {
		out := ""
		for flag, text := range map[string]string{" --admins-file ": a.URL, " --admin-auth-file ": "s3cret"} {
			r, w, err := os.Pipe()
			if err == nil {
				_, err = w.WriteString(text)
			}
			must.Do(t, errors.Join(err, w.Close()))
			t.Cleanup(func() { _ = r.Close() })
			out += flag + fmt.Sprintf("/dev/fd/%d", r.Fd())
		}
		return out
	}
	says(t, 0, "status"+flags(), "200 healthy")
	asked.Store(0)
	shows, end := serve(t, flags())
	for asked.Load() < 4 { // so that it has read again
		shows("", "<title>", "old list")
	}
	end()
}

// serve shows Envoys that do not answer as such, at once, which slow ones do not hold up. It ends at Ctrl-C, also while
// it asks one and while somebody is about to ask it.
func TestServe(t *testing.T) {
	t.Parallel()
	silent := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer silent.Close()
	taken := silent.Addr().String()
	slow := strings.ReplaceAll(" --admin http://HOST/1 --admin http://HOST/2 --admin http://HOST/3", "HOST", taken)
	cmd := process(t.Context(), "serve --listen 127.0.0.1:0 --interval 1s --parallel 1"+slow+
		" --admin unix:///nonexistent"+strings.ReplaceAll(slow, taken, taken+"/also"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout := must.Get(cmd.StdoutPipe())(t)
	must.Do(t, cmd.Start())
	said, err := bufio.NewReader(stdout).ReadString('\n')
	url, rest, _ := strings.Cut(said, " ")
	if err != nil || rest != "and "+url+"metrics, all Envoys asked every 1s (7); Ctrl-C ends\n" {
		t.Fatalf("%v, %s", err, said)
	}
	const gone = "there is no such Unix socket: is Envoy running, and is this Envoy&#39;s admin address?"
	var page []byte
	for !strings.Contains(string(page), gone) { // the others are still being asked
		response := must.Get(http.Get(url))(t)
		page, err = io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d, %v", response.StatusCode, err)
		}
	}
	if !strings.Contains(string(page), "<title>1 could not be asked, 6 not known for sure") {
		t.Errorf("%s", page)
	}
	request := must.Get(http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))(t)
	request.Host = "app.test"
	response := must.Get(http.DefaultClient.Do(request))(t)
	if err = response.Body.Close(); err != nil || response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("as another site: %d, %v", response.StatusCode, err)
	}
	reader := must.Get(net.Dial("tcp", strings.Trim(url, "htp:/")))(t)
	defer reader.Close()
	must.Get(io.WriteString(reader, "GET / HTTP/1.1\r\n"))(t)
	if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil || stderr.Len() > 0 {
		t.Errorf("at Ctrl-C: %v, %s", err, &stderr)
	}
	if _, said, code := call(t, "serve", "--listen", taken); code != 1 || !strings.Contains(said, "already in use") {
		t.Errorf("at an address that is taken: exit code %d, %s", code, said)
	}
}

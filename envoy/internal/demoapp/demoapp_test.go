package demoapp

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func call(t *testing.T, a *App, method, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Code, w.Body.String()
}

func TestNodesFailAndRecover(t *testing.T) {
	a := New(t.Logf, "inbound", "outbound")
	for _, step := range []struct {
		control string
		want    int
	}{
		{"", 200},
		{"/demo/node/inbound?status=500", 500},
		{"/demo/node/inbound?status=404", 404},
		{"/demo/node/inbound", 200},
	} {
		if step.control != "" {
			if code, body := call(t, a, "POST", step.control); code != 200 {
				t.Fatalf("%s: %d %s", step.control, code, body)
			}
		}
		if code, _ := call(t, a, "GET", "/inbound/isalive"); code != step.want {
			t.Errorf("after %q: inbound answers %d, want %d", step.control, code, step.want)
		}
		if code, _ := call(t, a, "GET", "/outbound/isalive"); code != 200 {
			t.Errorf("after %q: outbound answers %d", step.control, code)
		}
	}
	if got := a.Counts()["/inbound/isalive"]; got != 4 {
		t.Errorf("counted %d requests for /inbound/isalive, want 4", got)
	}
}

func TestHangLastsAsLongAsTheCaller(t *testing.T) {
	a := New(t.Logf, "inbound")
	call(t, a, "POST", "/demo/node/inbound?hang=true")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/inbound/isalive", nil).WithContext(ctx))
		close(done)
	}()
	select {
	case <-done:
		t.Fatal("a hanging node answered")
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	<-done
}

func TestWrongControlIsRefused(t *testing.T) {
	a := New(t.Logf, "inbound")
	for target, want := range map[string]int{
		"/demo/node/nobody":             http.StatusNotFound,
		"/demo/node/inbound?status=one": http.StatusBadRequest,
		"/demo/node/inbound?status=99":  http.StatusBadRequest,
		"/demo/node/inbound?hang=maybe": http.StatusBadRequest,
	} {
		if code, _ := call(t, a, "POST", target); code != want {
			t.Errorf("POST %s: %d, want %d", target, code, want)
		}
	}
}

func TestAnyOtherPathIsTheApplication(t *testing.T) {
	a := New(t.Logf)
	code, body := call(t, a, "GET", "/shop?id=1")
	if code != 200 || !strings.HasPrefix(body, "application: GET /shop?id=1") {
		t.Errorf("%d %q", code, body)
	}
	if a.Counts()["/shop"] != 1 {
		t.Errorf("counts: %v", a.Counts())
	}
}

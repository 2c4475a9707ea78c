package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

const answer = `{"layers":["admin"],"entries":{"k":{"final_value":"true","layer_values":["true"]}}}`

// file writes a file and returns its name.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	must.Write(t, name, text)
	return name
}

// runtime asks for the runtime keys, and returns what is in the way.
func runtime(t *testing.T, address string, files Files) string {
	t.Helper()
	access, err := files.Open()
	if err != nil {
		return err.Error()
	}
	client, err := New(address, access)
	if err != nil {
		return err.Error()
	}
	if _, err := client.Runtime(t.Context()); err != nil {
		return err.Error()
	}
	return ""
}

// TestProtected: an admin behind a login, TLS with a client certificate, and a prefix of paths.
func TestProtected(t *testing.T) {
	t.Parallel()
	const wantBasic, wantToken = "Basic b3BzOnMzY3JldDp4", "Bearer eyJ.abc-_~+/=="
	admin := http.NewServeMux()
	for prefix, want := range map[string]string{"/basic": wantBasic, "/token": wantToken, "/open": ""} {
		admin.HandleFunc("GET "+prefix+"/runtime", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != want {
				w.WriteHeader(401)
				return
			}
			_, _ = io.WriteString(w, answer)
		})
	}
	admin.HandleFunc("/echo/runtime", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Authorization")+", that is s3cret:x")
	})
	admin.HandleFunc("/sends/runtime", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/login/s3cret:x/"+r.Header.Get("Authorization"), http.StatusFound)
	})
	quiet := log.New(io.Discard, "", 0)
	start := func(change func(*tls.Config)) *httptest.Server {
		s := httptest.NewUnstartedServer(admin)
		s.Config.ErrorLog = quiet
		s.TLS = &tls.Config{}
		change(s.TLS)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	plain := httptest.NewServer(admin)
	t.Cleanup(plain.Close)
	secure := start(func(*tls.Config) {})
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	cert, key, parsed := certificate(t, time.Hour)
	old, oldKey, expired := certificate(t, -time.Hour)
	aged := start(func(c *tls.Config) {
		c.Certificates = []tls.Certificate{must.Get(tls.LoadX509KeyPair(old, oldKey))(t)}
	})
	mutual := start(func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(parsed)
		c.ClientCAs.AddCert(expired)
	})
	other, otherKey, _ := certificate(t, time.Hour)
	basic, bearer := file(t, "\ufeffops:s3cret:x\n"), file(t, "eyJ.abc-_~+/==\r\n")

	for _, test := range []struct {
		name, address string
		files         Files
		want          string // "": it is answered
	}{
		{"nothing is needed", plain.URL + "/open", Files{}, ""},
		{"a prefix with a slash at its end", plain.URL + "/open/", Files{}, ""},
		{"another prefix", plain.URL + "/opn", Files{}, "GET /runtime was answered 404: is this Envoy's admin address?"},
		{"basic", plain.URL + "/basic", Files{Login: basic}, ""},
		{"a token", plain.URL + "/token", Files{Login: bearer}, ""},
		{"no login", plain.URL + "/basic", Files{},
			"answered 401: it wants a login: give --admin-auth-file FILE, or set HEALTHGATE_ADMIN_AUTH"},
		{"another login", plain.URL + "/basic", Files{Login: bearer}, "answered 401: the login that was sent is refused"},
		{"a server that repeats it", plain.URL + "/echo", Files{Login: basic},
			"answered 500 you sent Basic [hidden], that is [hidden]"},
		{"a redirect that repeats it", plain.URL + "/sends", Files{Login: basic},
			"with a redirect to " + plain.URL + "/login/[hidden]/"},
		{"https", secure.URL + "/basic", Files{Login: basic, CA: ca}, ""},
		{"an authority that nobody knows", secure.URL + "/open", Files{},
			"give the authority's certificate, --admin-ca-file FILE"},
		{"a path too long", "unix:///" + strings.Repeat("a", 107), Files{},
			"the path of a Unix socket has at most 107 bytes, this one 108"},
		{"another authority", secure.URL + "/open", Files{CA: other},
			"give the authority's certificate, --admin-ca-file FILE"},
		{"another name", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), Files{CA: ca},
			"not localhost: give the address that its certificate names"},
		{"a client's certificate", mutual.URL + "/open", Files{CA: ca, Cert: cert, Key: key}, ""},
		{"none", mutual.URL + "/open", Files{CA: ca},
			"does it want a client's certificate (--admin-cert-file, --admin-key-file)"},
		{"another", mutual.URL + "/open", Files{CA: ca, Cert: other, Key: otherKey}, "does it want a client's certificate"},
		{"one that has expired", mutual.URL + "/open", Files{CA: ca, Cert: old, Key: oldKey},
			"refuses TLS: the client's certificate, --admin-cert-file, has expired"},
		{"a server's that has expired", aged.URL + "/open", Files{CA: old},
			"its certificate does not count: certificate has expired or is not yet valid: current time "},
		{"https against http", strings.Replace(plain.URL, "http:", "https:", 1), Files{},
			"speaks no TLS: write http:// instead of https://"},
		{"http against https", strings.Replace(secure.URL, "https:", "http:", 1), Files{},
			"speaks TLS: write https:// instead of http://"},
		{"a file of two lines", plain.URL, Files{Login: file(t, "ops:s3cret\nmore\n")}, "has more than one line"},
		{"an empty file", plain.URL, Files{Login: file(t, "\n")}, "is empty; write USER:PASSWORD"},
		{"a header's value", plain.URL, Files{Login: file(t, "Bearer s3cret")},
			"write the token alone, without the word Bearer"},
		{"a header", plain.URL, Files{Login: file(t, "authorization: Bearer s3cret")},
			"is a whole header; write USER:PASSWORD or a bearer token alone"},
		{"no file, but a login", plain.URL, Files{Login: "ops:s3cret"},
			"--admin-auth-file: no such file or directory: give a file that holds the login"},
		{"a token in the place of the file", plain.URL, Files{Login: "eyJh.s3cret.sig"},
			"--admin-auth-file: no such file or directory: give a file that holds the login"},
		{"no file", plain.URL, Files{Login: "/nonexistent"}, "--admin-auth-file: open /nonexistent: no such file"},
		{"no PEM", secure.URL, Files{CA: basic}, "--admin-ca-file: " + basic + ": has no certificate in PEM form"},
		{"no CA", secure.URL, Files{CA: "/nonexistent"}, "--admin-ca-file: open /nonexistent"},
		{"a certificate without its key", secure.URL, Files{Cert: cert},
			"--admin-cert-file and --admin-key-file: one is of no use without the other"},
		{"another's key", secure.URL, Files{Cert: cert, Key: otherKey},
			"--admin-cert-file, --admin-key-file: tls: private key does not match"},
		{"a certificate for http", plain.URL, Files{CA: ca}, "a certificate is for https://"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := runtime(t, test.address, test.files)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) || strings.Contains(got, "s3cret") {
				t.Errorf("%s: %q, want %q", test.name, got, test.want)
			}
		})
	}
}

// certificate makes a certificate that signs itself, and ends after a time.
func certificate(t *testing.T, valid time.Duration) (certFile, keyFile string, parsed *x509.Certificate) {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, NotAfter: time.Now().Add(valid),
		IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der := must.Get(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	parsed = must.Get(x509.ParseCertificate(der))(t)
	keyDER := must.Get(x509.MarshalPKCS8PrivateKey(key))(t)
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))), parsed
}

// TestLoginOfTheEnvironment: a file comes before it.
func TestLoginOfTheEnvironment(t *testing.T) {
	t.Setenv(LoginVariable, "ops:s3cret")
	for _, test := range []struct {
		env, file, want string // the header, or what the error says
	}{
		{"ops:s3cret", "", "Basic b3BzOnMzY3JldA=="},
		{"ops:s3cret", file(t, "t0ken"), "Bearer t0ken"},
		{"", "", ""}, // as if it were not set
		{"a b", "", "HEALTHGATE_ADMIN_AUTH in the environment: is neither"},
	} {
		t.Run(test.env, func(t *testing.T) {
			t.Setenv(LoginVariable, test.env)
			access, err := Files{Login: test.file}.Open()
			got := access.authorization
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("%q: %s, want %s", test.env, got, test.want)
			}
		})
	}
}

// TestRedirects: no redirect is followed, and its target gets no request.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "://", "://ops:s3cret@", 1)+"/login?token=s3cret", status)
		}))
		client := must.Get(New(redirects.URL, Access{}))(t)
		_, get := client.Runtime(t.Context())
		_, ready := client.Ready(t.Context())
		for _, err := range []error{get, ready, client.ModifyRuntime(t.Context(), "k", "v")} {
			if err == nil || !strings.Contains(err.Error(), "with a redirect to "+elsewhere.URL+"/login; none is followed") {
				t.Errorf("%d: %v", status, err)
			}
		}
		redirects.Close()
	}
	if followed.Load() > 0 {
		t.Errorf("%d redirects were followed", followed.Load())
	}
}

// TestConnectionIsKept, and a change goes out again when the kept one turns out to be closed.
func TestConnectionIsKept(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, map[string]string{http.MethodGet: answer, http.MethodPost: "OK\n"}[r.Method])
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := must.Get(New(server.URL, Access{}))(t)
	for range 5 {
		if _, err := client.Runtime(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 5 requests", n)
	}
	server.CloseClientConnections()
	if err := client.ModifyRuntime(t.Context(), "k", "v"); err != nil {
		t.Error(err)
	}
}

// TestClosesLater: the address of an admin that has answered is right.
func TestClosesLater(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	client := must.Get(New(server.URL, Access{}))(t)
	if _, err := client.Runtime(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := client.ModifyRuntime(t.Context(), "k", "v")
	if err == nil || !strings.HasSuffix(err.Error(), "closed the connection without an answer") {
		t.Errorf("%v", err)
	}
}

// TestFaults: what listens is told apart, as far as it can be. No part of an answer that repeats the login shows it.
func TestFaults(t *testing.T) {
	t.Parallel()
	login := file(t, "ops:s3cret")
	for _, test := range []struct{ says, want string }{
		{"", "closed the connection without an answer: is this Envoy's admin address?"},
		{"SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP/1.1: is this Envoy's admin address?"},
		{"\x00\x00\x06\x04\x00\x00\x00\x00\x00", "does not speak HTTP/1.1"},
		{"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS: write https://"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "closed the connection without an answer"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "did not return runtime: is this Envoy's admin address?"},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno\r\n", "GET /runtime was answered 403 no"},
		{"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "GET /runtime was answered 503"},
		{"HTTP/1.1 302 Found\r\nLocation: http://ops:s3cret@[::1\r\nContent-Length: 0\r\n\r\n",
			"answers with a redirect to what is no address; none is followed"},
		{"HTTP/1.1 302 Found\r\nLocation: http://s3cret.example/\r\nContent-Length: 0\r\n\r\n",
			"with a redirect to http://[hidden].example/"},
		{"HTTP/1.1 200 OK\r\nops s3cret\r\n\r\n", "does not speak HTTP/1.1"},
		{"HTTP/1.1 200 OK\r\nContent-Length: s3cret\r\n\r\n", "does not speak HTTP/1.1"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: s3cret\r\n\r\n", "does not speak HTTP/1.1"},
		{"HTTP/1.1 200 OK\r\nAge: s3cret\r\nContent-Length: 2\r\n\r\n{}", "as it was [hidden] s ago"},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 48\r\n\r\nrequest to path /runtime?format=json not allowed",
			"GET /runtime was answered 403: its admin.allow_paths has to have it; the plugin asks for it, too"},
	} {
		t.Run(test.says, func(t *testing.T) {
			listener := listen(t)
			go func() {
				for {
					connection, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = connection.Read(make([]byte, 4096))
					_, _ = io.WriteString(connection, test.says)
					connection.Close()
				}
			}()
			got := runtime(t, listener.Addr().String(), Files{Login: login})
			if !strings.Contains(got, test.want) || strings.Contains(got, "s3cret") || strings.HasSuffix(got, " ") {
				t.Errorf("%q: %s, want %s", test.says, got, test.want)
			}
		})
	}
	gone := listen(t)
	gone.Close()
	for address, want := range map[string]string{
		gone.Addr().String():             "connection refused: is Envoy running, and is this Envoy's admin address?",
		"unix://" + t.TempDir() + "/a":   "there is no such Unix socket: is Envoy running",
		"unix://" + file(t, ""):          "connection refused: is Envoy running",
		"http://[::1%25lo]:1":            "connection refused: is Envoy running",
		"[::1%lo]:1":                     "a zone is written behind %25, as in [fe80::1%25eth0]",
		"unix://" + t.TempDir() + "/a@b": "there is no such Unix socket: is Envoy running",
		"nowhere.invalid:9901":           "the name nowhere.invalid has no address: ",
	} {
		t.Run(address, func(t *testing.T) {
			if got := runtime(t, address, Files{}); !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", address, got, want)
			}
		})
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { listener.Close() })
	return listener
}

// TestSilent: an Envoy that is starting accepts connections, and answers none before its plugins are compiled.
func TestSilent(t *testing.T) {
	t.Parallel()
	client := must.Get(New(listen(t).Addr().String(), Access{}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Runtime(ctx); err == nil || !strings.HasPrefix(err.Error(), "no answer in time") ||
		!strings.Contains(err.Error(), "a forwarded port, or a proxy, may lead to nobody") {
		t.Errorf("it says %v", err)
	}
}

// says is a server with one answer.
func says(answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
}

// TestReady: only Envoy's own words count as its state.
func TestReady(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"LIVE\n": "LIVE", "<html>": ""} {
		t.Run(word, func(t *testing.T) {
			server := httptest.NewServer(says(word))
			client := must.Get(New(server.URL, Access{}))(t)
			if state, err := client.Ready(t.Context()); state != want || (err == nil) != (want != "") {
				t.Errorf("%q: %q, %v", word, state, err)
			}
			server.Close()
		})
	}
}

// What a proxy shows in the place of metrics is none of Envoy's.
func TestStatsOfSomebodyElse(t *testing.T) {
	t.Parallel()
	const bad = "did not return metrics"
	for body, want := range map[string]string{
		"": "", "a: 1\nb: P0(nan,1) P25(nan,2)\n": "",
		"<!doctype html>\n<title>Log in: here</title>": bad, "<html><body>\nLog in\n": bad,
		"{}": bad, "{\"error\": \"forbidden\"}\n": bad, "a: 1\nb: 1": bad, "a: 1\nb": bad,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		client := must.Get(New(server.URL, Access{}))(t)
		_, err := client.Stats(t.Context(), "a")
		if got := fmt.Sprint(err); !strings.Contains(got, want) || want == "" && err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// Envoy puts the time by its own clock into each answer, to the second; a proxy in front puts its own.
func TestClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server string
		ahead  time.Duration
		want   string
	}{
		{"envoy", 0, ""},
		{"envoy", 2 * time.Hour, " ahead of this machine's"},
		{"envoy", -2 * time.Hour, " behind this machine's"},
		{"nginx", 2 * time.Hour, ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", test.server)
			w.Header().Set("Date", time.Now().Add(test.ahead).UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		client, err := New(server.URL, Access{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Runtime(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, skew := client.Clock(), client.Skew()
		near := test.want == "" && skew == 0 || test.want != "" && (skew-test.ahead).Abs() < time.Minute
		if !strings.HasSuffix(got, test.want) || (got == "") != (test.want == "") || !near {
			t.Errorf("%s, %s ahead: %q, %s", test.server, test.ahead, got, skew)
		}
	}
}

// What a cache tells is of an earlier time; its clock is nobody's.
func TestCache(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%v", r.Header)
		}
		w.Header().Set("Age", "40")
		w.Header().Set("Server", "envoy")
		w.Header().Set("Date", time.Now().Add(-40*time.Second).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, map[string]string{"/ready": "LIVE", "/runtime": answer}[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	none := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Age", "0") // as some proxies say of each answer
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(none.Close)
	if got := runtime(t, none.URL, Files{}); got != "" {
		t.Error(got)
	}
	client := must.Get(New(server.URL, Access{}))(t)
	_, runtime := client.Runtime(t.Context())
	_, ready := client.Ready(t.Context())
	_, stats := client.Stats(t.Context(), "a")
	for what, err := range map[string]error{"GET /runtime": runtime, "GET /ready": ready, "GET /stats": stats,
		"POST /runtime_modify": client.ModifyRuntime(t.Context(), "k", "v")} {
		if got := fmt.Sprint(err); !strings.HasPrefix(got, what+" was answered by a cache, as it was 40 s ago") {
			t.Errorf("%s: %s", what, got)
		}
	}
	if clock := client.Clock(); clock != "" {
		t.Error(clock)
	}
}

// What is not Envoy's says nothing of an Envoy.
func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"{}", "[]", "null", `{"configs": []}`, "<html>", `"OK"`, "OK", ""} {
		server := httptest.NewServer(says(body))
		client := must.Get(New(server.URL, Access{}))(t)
		_, dump := client.ConfigDump(t.Context())
		_, info := client.Server(t.Context())
		for what, err := range map[string]error{"configuration": dump, "what Envoy says of itself": info} {
			if got := fmt.Sprint(err); !strings.HasSuffix(got, "did not return "+what+": "+isAdmin) &&
				!strings.HasSuffix(got, "did not return Envoy's "+what+": "+isAdmin) {
				t.Errorf("%s: %s", body, got)
			}
		}
		err := client.Post(t.Context(), "/drain_listeners")
		if (err == nil) != (body == "OK") || err != nil && !errors.As(err, new(*UnansweredError)) {
			t.Errorf("%s: %v", body, err)
		}
		server.Close()
	}
}

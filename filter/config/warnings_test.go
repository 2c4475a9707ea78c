package config

import (
	"fmt"
	"strings"
	"testing"
)

// What no request can have is said, and what some have is not.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const (
		pattern = `is no pattern: paths are compared byte for byte`
		capital = `is no method: they are in capital letters, and case matters`
		host    = `is no host as clients name one: "example.com", "example.com:8080", "[::1]"`
		value   = `is in no header's value: those have no control characters, and no blanks around them`
		taken   = `is taken away by Envoy before a filter sees the request`
		short   = `when Envoy's main thread is busy for 10 s, as with an update of thousands of clusters: give `
	)
	paths := func(path string) string { return strings.Replace(good, `"/hc"`, `"/",`+path, 1) }
	methods := func(method string) string { return endpoint(`"methods":["GET",` + method + `]`) }
	hosts := func(host string) string { return endpoint(`"hosts":["a",` + host + `]`) }
	headers := func(matcher string) string { return endpoint(`"headers":[{"name":"x","exact":"1"},{` + matcher + `}]`) }
	hostOf := func(host string) string { return probe(`"path":"/","host":` + host) }
	methodOf := func(method string) string { return probe(`"path":"/","method":` + method) }
	stale := func(maxAge string) string {
		return strings.Replace(good, "{", `{"admin":{"cluster":"a","on_stale":"fail","max_age":`+maxAge+`},`, 1)
	}
	for _, test := range []struct {
		place string
		text  func(string) string
		never map[string]string
		fine  []string
	}{
		{"endpoints[0].paths[1]", paths, map[string]string{
			`"/hc/*"`: pattern, `"/*"`: pattern, `"/{id}/hc"`: pattern, `"/hc$"`: pattern, `"/(a|b)"`: pattern,
			`"/hc[0-9]"`: pattern, `"/^hc"`: pattern, `"/hc\\d"`: pattern,
		}, []string{`"/hc/"`, `"//hc"`, `"/h%63"`, `"/a;b=c"`, `"/.well-known/hc"`, `"/~me/hc+x,y:z@!&='"`}},
		{"endpoints[0].methods[1]", methods, map[string]string{
			`"get"`: capital, `"Head"`: capital, `"oPTIONS"`: capital,
		}, []string{`"HEAD"`, `"PROPFIND"`, `"M-SEARCH"`}},
		{"endpoints[0].hosts[1]", hosts, map[string]string{
			`"::1"`: host, `"fd00::1:80"`: host, `"[::1"`: host, `"[]"`: host, `"["`: host, `"[a]"`: host, `"[10.0.0.1]"`: host,
			`"a."`: host, `".a"`: host, `"a:0"`: host, `"a:65536"`: host, `"a:"`: host, `"a:http"`: host, `":80"`: host,
			`"a%20b"`: host, `"bücher.example"`: host, `"user@a"`: host, `"a?b"`: host, `"a,b"`: host, `"http:"`: host,
			`"[::1]:"`: host, `"[::1]x"`: host, `"a:-1"`: host,
		},
			[]string{`"b"`, `"B.Example"`, `"10.0.0.1"`, `"10.0.0.1:8080"`, `"[::1]"`, `"[FD00::1]:443"`, `"a:65535"`,
				`"xn--bcher-kva.example"`, `"my_app"`, `"1"`}},
		{"endpoints[0].headers[1]", headers, map[string]string{
			`"name":"y","exact":" a"`: value, `"name":"y","exact":"a "`: value, `"name":"y","prefix":"\ta"`: value,
			`"name":"y","suffix":"a "`: value, `"name":"y","contains":"a\nb"`: value, `"name":"y","exact":"a\u0000"`: value,
			`"name":"Connection","exact":"close"`: taken, `"name":"transfer-encoding","present_match":true`: taken,
			`"name":"keep-alive","prefix":"t"`: taken, `"name":"proxy-connection","contains":"k"`: taken,
		},
			[]string{`"name":"y","exact":""`, `"name":"y","prefix":"a "`, `"name":"y","suffix":" a"`,
				`"name":"y","contains":" "`, `"name":"y","exact":"a, b"`,
				`"name":"connection","present_match":false`, `"name":"host","exact":"a"`, `"name":"content-length","exact":"0"`}},
		{"probes[0].host", hostOf, map[string]string{`"http://a"`: host, `"::1"`: host, `" a"`: host,
			`""`: host, `"a b"`: host},
			[]string{`"localhost"`, `"a:8080"`, `"[::1]:8080"`}},
		{"probes[0].method", methodOf, map[string]string{`"get"`: capital}, []string{`"HEAD"`, `"POST"`}},
		{"admin.max_age", stale, map[string]string{
			`"10s"`: short + "15s or more", `"14999ms"`: short + "15s or more",
			`"15s","timeout":"5s","interval":"3s"`: short + "23s or more",
			`"29999ms","interval":"10s"`:           short + "30s or more",
		}, []string{`"15s"`, `"23s","timeout":"5s","interval":"3s"`, `"30s","interval":"10s"`}},
	} {
		t.Run(test.place, func(t *testing.T) {
			for item, want := range test.never {
				c, err := Parse([]byte(test.text(item)), Node{})
				if err != nil {
					t.Errorf("%s: %v", item, err)
				} else if got := warnings(c); len(got) != 1 || !strings.HasPrefix(got[0], test.place+": ") ||
					!strings.HasSuffix(got[0], want) {
					t.Errorf("%s: got %q, want %s: … %s", item, got, test.place, want)
				}
			}
			for _, item := range test.fine {
				if c, err := Parse([]byte(test.text(item)), Node{}); err != nil || len(c.Warnings) != 0 {
					t.Errorf("%s: %v, %q", item, err, warnings(c))
				}
			}
		})
	}
}

// A slip in each of many lines does not fill the log, nor does a long text fill its line.
func TestBoundedMessages(t *testing.T) {
	t.Parallel()
	var paths []string
	for i := range 1000 {
		paths = append(paths, fmt.Sprintf(`"/%d/*"`, i))
	}
	c, err := Parse([]byte(strings.Replace(good, `"/hc"`, strings.Join(paths, ","), 1)), Node{})
	if err != nil || len(c.Warnings) != maxWarnings {
		t.Errorf("%d warnings, %v", len(c.Warnings), err)
	}
	long := strings.Repeat("x", 10_000)
	for _, text := range []string{
		endpoint(`"` + long + `":1`), endpoint(`"` + long + `":1,"` + long + `":1`), strings.Replace(good,
			`{`, `{"`+long+`":1,`, 1),
		strings.Replace(good, `"a"`, `"`+long+` "`, 1), strings.Replace(good, `/hc`, long, 1), strings.Replace(good,
			`/hc`, `/`+long+`?`, 1),
		strings.Replace(good, `"/hc"`, `"/`+long+`","/`+long+`"`, 1), strings.Replace(good, `10.0.0.0/8`, long, 1),
		endpoint(`"methods":["` + long + ` "]`), endpoint(`"hosts":["` + long + `*"]`), endpoint(`"kind":"` + long + `"`),
		endpoint(`"headers":[{"name":"` + long + ` ","exact":""}]`), endpoint(`"healthy":{"headers":{"` + long + ` ":"a"}}`),
		endpoint(`"healthy":{"content_type":"` + long + `\n"}`), endpoint(`"healthy":{"headers":{"a":"` + long + `\n"}}`),
		endpoint(`"healthy":{"status":1` + strings.Repeat("0", 10_000) +
			`}`), endpoint(`"unhealthy":{"status":"` + long + `"}`),
		endpoint(`"probes":{"names":["` + long + `"]}`), probe(`"path":"/","interval":"` + long + `"`),
		strings.Replace(good, `"cidrs"`, `"providers":["`+long+`"],"cidrs"`, 1), strings.Replace(good, `"cidrs"`,
			`"peer":"`+long+`","cidrs"`, 1),
		keyed(long), keyed("{" + long[:250] + "}"), keyed("{" + long[:250]),
	} {
		if _, err := Parse([]byte(text), Node{}); err == nil || len(err.Error()) > 400 {
			t.Errorf("%.60s: %.500s", text, textOf(err))
		}
	}
}

package wrk

import (
	"strings"
	"testing"
)

const sound = `Running 2s test @ http://127.0.0.1:13000/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   290.71us  201.37us   9.53ms   97.91%
    Req/Sec    28.42k     1.35k   30.52k    76.19%
  59392 requests in 2.10s, 7.65MB read
Requests/sec:  28278.46
Transfer/sec:      3.64MB
`

func TestParse(t *testing.T) {
	t.Parallel()
	r, err := parse(sound)
	if err != nil || r != (Result{59392, 28278.46}) {
		t.Errorf("%+v, error %v", r, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, replacement, want string }{
		"status":    {"Requests/sec:", "  Non-2xx or 3xx responses: 12\nRequests/sec:", "Non-2xx or 3xx responses: 12"},
		"socket":    {"Requests/sec:", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec:", "read 3"},
		"nothing":   {"59392 requests", "0 requests", "no request was answered"},
		"not usual": {"Requests/sec:", "Requests:", "something else"},
	} {
		_, err := parse(strings.Replace(sound, c.line, c.replacement, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

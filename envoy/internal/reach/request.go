package reach

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
)

// Request returns a request that an endpoint takes for one of its own: with a method, a host and headers that it asks
// for.
func Request(ctx context.Context, endpoint *config.Endpoint, url string) (*http.Request, error) {
	method := http.MethodGet
	if len(endpoint.Methods) > 0 && !slices.Contains(endpoint.Methods, method) {
		method = endpoint.Methods[0]
	}
	var body io.Reader
	if endpoint.GRPC {
		body = strings.NewReader("\x00\x00\x00\x00\x00") // a message that is empty: of the whole server
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if len(endpoint.Hosts) > 0 && !slices.Contains(endpoint.Hosts, strings.ToLower(request.URL.Hostname())) {
		request.Host = endpoint.Hosts[0]
	}
	for _, h := range endpoint.Headers {
		switch h.Kind {
		case config.Absent:
		case config.Present:
			request.Header.Set(h.Name, "healthgate")
		default:
			request.Header.Set(h.Name, h.Value)
		}
	}
	return request, nil
}

// Answer returns what a check of gRPC was answered: the word of its message, or the error in the place of one.
func Answer(response *http.Response, body []byte) string {
	switch {
	case response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/grpc":
		return response.Status
	case string(body) == "\x00\x00\x00\x00\x02\x08\x01":
		return config.Serving
	case string(body) == "\x00\x00\x00\x00\x02\x08\x02":
		return config.NotServing
	}
	code, message := response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	return strings.TrimSpace("grpc-status " + code + " " + message)
}

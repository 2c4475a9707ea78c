package reach

import (
	"context"
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
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
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

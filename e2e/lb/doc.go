// Package lb tests Envoys with healthgate behind a real HAProxy. It needs HAProxy: `make test-lb` says how to get it.
package lb

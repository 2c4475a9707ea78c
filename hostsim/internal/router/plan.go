package router

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// Plan is how long the router waits for an upstream, and when it tries again.
type Plan struct {
	Timeout     time.Duration // of the whole; 0 is for ever
	TryTimeout  time.Duration // of a try; 0 is the whole
	Retries     int           // that are left
	NoContent   bool          // a timeout is answered with 204
	retryOn     []string
	retryGrpcOn []string
	statuses    []string
	names       []string // of fields of a response
}

// forRouter are the fields that a request has for the router, which takes them off (Filter::decodeHeaders and
// FilterUtility::finalTimeout in source/common/router/router.cc, RetryStateImpl::create).
var forRouter = map[string]func(p *Plan, value string){
	"x-envoy-upstream-rq-timeout-ms":           func(p *Plan, v string) { setMillis(&p.Timeout, v) },
	"x-envoy-upstream-rq-per-try-timeout-ms":   func(p *Plan, v string) { setMillis(&p.TryTimeout, v) },
	"x-envoy-upstream-rq-timeout-alt-response": func(p *Plan, _ string) { p.NoContent = true },
	"x-envoy-retry-on":                         func(p *Plan, v string) { p.retryOn = list(v) },
	"x-envoy-retry-grpc-on":                    func(p *Plan, v string) { p.retryGrpcOn = list(v) },
	"x-envoy-retriable-status-codes":           func(p *Plan, v string) { p.statuses = list(v) },
	"x-envoy-retriable-header-names":           func(p *Plan, v string) { p.names = list(v) },
	"x-envoy-max-retries": func(p *Plan, v string) {
		if n, err := strconv.ParseUint(v, 10, 31); err == nil {
			p.Retries = int(n)
		}
	},
	"x-envoy-upstream-alt-stat-name":   func(*Plan, string) {},
	"x-envoy-hedge-on-per-try-timeout": func(*Plan, string) {},
}

func setMillis(d *time.Duration, value string) {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		*d = time.Duration(n) * time.Millisecond
	}
}

func list(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}

// Take takes the fields for the router off a request whose route has a timeout, and tells the upstream how long it has.
func Take(m *headers.Map, timeout time.Duration) Plan {
	p := Plan{Timeout: timeout, Retries: 1}
	var taken []string
	for _, f := range m.Fields() {
		if set := forRouter[f.Name]; set != nil {
			set(&p, f.Value)
			taken = append(taken, f.Name)
		}
	}
	for _, name := range taken {
		m.Remove(name)
	}
	if p.Timeout > 0 && p.TryTimeout >= p.Timeout {
		p.TryTimeout = 0
	}
	p.Expect(m, 0)
	return p
}

// Expect tells the upstream how long it has for a try that begins after some time.
func (p *Plan) Expect(m *headers.Map, after time.Duration) {
	limit := p.TryTimeout
	if left := p.Timeout - after; p.Timeout > 0 && (limit == 0 || left < limit) {
		limit = left
	}
	if limit > 0 {
		m.Overwrite("x-envoy-expected-rq-timeout-ms", strconv.FormatInt(limit.Milliseconds(), 10))
	}
}

// Outcome is how a try went that brought no answer.
type Outcome int

// The outcomes. After Refused, no host was asked.
const (
	Answered Outcome = iota
	Reset
	ConnectFailure
	Refused
)

// Again reports whether a try that went so is one to repeat, if there are retries left
// (RetryStateImpl::wouldRetryFromHeaders and wouldRetryFromReset in source/common/router/retry_state_impl.cc).
func (p *Plan) Again(outcome Outcome, response *headers.Map) bool {
	status := response.Value(":status")
	return slices.ContainsFunc(p.retryOn, func(reason string) bool {
		switch {
		case outcome == Refused:
			return false
		case outcome == ConnectFailure && (reason == "connect-failure" || reason == "reset-before-request"):
			return true
		case outcome != Answered:
			return reason == "5xx" || reason == "gateway-error" || reason == "reset"
		}
		switch reason {
		case "5xx":
			return strings.HasPrefix(status, "5")
		case "gateway-error":
			return status == "502" || status == "503" || status == "504"
		case "retriable-4xx":
			return status == "409"
		case "retriable-status-codes":
			return slices.Contains(p.statuses, status)
		case "retriable-headers":
			return slices.ContainsFunc(p.names, func(name string) bool {
				_, has := response.Get(name)
				return has
			})
		}
		return false
	}) || outcome == Answered && slices.Contains(p.retryGrpcOn, grpcReasons[response.Value("grpc-status")])
}

// grpcReasons are the words for a status of gRPC.
var grpcReasons = map[string]string{
	"1": "cancelled", "4": "deadline-exceeded", "8": "resource-exhausted", "13": "internal", "14": "unavailable",
}

package verdict

import (
	"slices"

	"github.com/healthgate/healthgate/filter/config"
)

// The statuses of gRPC that a Check may get in the place of an answer.
const (
	Named         = 0 // the request asks for the server, or for a service that the endpoint names
	notFound      = 5
	tooLarge      = 8
	Unimplemented = 12 // what is compressed, or not exactly one message
	malformed     = 13
)

// MaxBody is how many bytes of a request's body are waited for: a frame's five, a field's two, the longest name, and
// one that is too much.
const MaxBody = frame + 2 + config.MaxService + 1

const frame = 5

// Service says of the body of a Check, a HealthCheckRequest in its frame, which status it gets. Its only field is the
// service.
func Service(e *config.Endpoint, body []byte) int32 {
	if len(body) >= MaxBody {
		return tooLarge
	}
	if len(body) == 0 || body[0] != 0 {
		return Unimplemented
	}
	if len(body) < frame || body[1]|body[2]|body[3] != 0 || int(body[4]) > len(body)-frame {
		return malformed
	}
	name := body[frame:]
	if int(body[4]) < len(name) {
		return Unimplemented
	}
	if len(name) == 0 {
		return Named
	}
	if len(name) < 2 || name[0] != 1<<3|2 || int(name[1]) != len(name)-2 {
		return malformed
	}
	if len(name) == 2 || slices.Contains(e.Services, string(name[2:])) {
		return Named
	}
	return notFound
}

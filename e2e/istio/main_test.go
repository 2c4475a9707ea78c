package istio

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestMain runs two tests at once: each has a control plane and an Envoy of its own, which both take a processor while
// they start.
func TestMain(m *testing.M) { envoytest.Main(m, 2) }

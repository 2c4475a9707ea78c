package istio

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// testConfigMap changes runtime keys as `kubectl patch configmap` does, seen from the pod.
func testConfigMap(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	for round := range 3 {
		envoytest.MountConfigMap(t, b.runtime, map[string]string{"healthgate.maintenance": "true",
			"healthgate.maintenance.reason": fmt.Sprint("round ", round)})
		b.becomes(t, 503, sorry)
		envoytest.MountConfigMap(t, b.runtime, nil)
		b.becomes(t, 200, "OK")
	}
	envoytest.MountConfigMap(t, b.runtime, map[string]string{"healthgate.route_maintenance": "100"})
	b.becomes(t, 503, sorry)
	envoytest.MountConfigMap(t, b.runtime, nil)
	b.becomes(t, 200, "OK")
}

package e2e

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

func TestMain(m *testing.M) { envoytest.Main(m, 16) }

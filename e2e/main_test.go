package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { envoytest.Main(m, 16) }

// testdata reads a file of testdata, which must have no field that is unknown here.
func testdata(t testing.TB, name string, into any) {
	t.Helper()
	file := must.Get(os.Open(filepath.Join("testdata", name)))(t)
	defer func() { _ = file.Close() }()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("testdata/%s: %v", name, err)
	}
}

package envoytest

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Main is for a package's TestMain. It runs so many parallel tests at once: those of Envoys wait far more than they
// compute, so that Go's default, the number of processors, would leave the machine idle.
func Main(m *testing.M, atOnce int) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

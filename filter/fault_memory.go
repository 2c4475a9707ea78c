//go:build wasm && healthgate_faults

package main

import (
	"runtime"
	"strconv"

	"github.com/healthgate/healthgate/filter/host"
)

// counted is static, so that counting allocates nothing.
var counted, live runtime.MemStats

// reportMemory logs how many objects this VM has ever allocated on its heap, and how many bytes of it are in use after
// a collection. Both are the runtime's figures: they include what the SDK allocates and what the host is handed by
// proxy_on_memory_allocate. The log line itself counts towards the next report.
func reportMemory() {
	runtime.ReadMemStats(&counted)
	runtime.GC()
	runtime.ReadMemStats(&live)
	host.LogInfo(prefix + "memory: " + strconv.FormatUint(counted.Mallocs, 10) + " allocations, " +
		strconv.FormatUint(live.HeapInuse, 10) + " bytes in use")
}

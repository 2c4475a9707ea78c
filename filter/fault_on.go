//go:build wasm && healthgate_faults

package main

import (
	"github.com/healthgate/healthgate/filter/host"
)

// With the build tag healthgate_faults a test can crash VMs on purpose, and ask one for its memory. Released builds
// have none of this.

// crashLeaderKey is the shared data key that makes the leader crash on its next tick when it holds "1".
const crashLeaderKey = "healthgate/fault/crash-leader"

// injectRequestFault obeys the header x-healthgate-fault: "crash" crashes the VM that handles the request,
// "crash-leader" the leader; "memory" logs what the first has allocated. Without the header it allocates nothing.
func injectRequestFault() {
	switch fault, _ := host.RequestHeader("x-healthgate-fault"); fault {
	case "memory":
		reportMemory()
	case "crash":
		panic("crash asked for by x-healthgate-fault")
	case "crash-leader":
		_ = host.SetSharedData(crashLeaderKey, []byte("1"), 0)
	}
}

func injectTickFault(p *plugin) {
	if p.monitor == nil {
		return
	}
	if value, cas, ok := host.SharedData(crashLeaderKey); ok && string(value) == "1" {
		if host.SetSharedData(crashLeaderKey, []byte("0"), cas) == nil {
			panic("crash of the leader asked for by x-healthgate-fault")
		}
	}
}

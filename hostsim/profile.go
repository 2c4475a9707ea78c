package hostsim

// Profile is the Envoy release whose WASI a plugin meets. It is also an Option.
//
// What changed between the two is proxy-wasm-cpp-host#533: before it, Envoy linked
// 18 WASI functions, answered poll_oneoff with ENOSYS (on which a Go program
// throws) and forbade more of them while a VM starts. And #500: before it, Envoy did
// not call the __main_void of a reactor; of the releases between, 1.37 and 1.38 do
// not, 1.39 does.
type Profile int

const (
	// Envoy140 is Envoy 1.40 (proxy-wasm-cpp-host at and after #533). The default.
	Envoy140 Profile = iota
	// Envoy136 is Envoy 1.36 (proxy-wasm-cpp-host between #427 and #533).
	Envoy136
)

// String is the profile's name as the command line spells it.
func (p Profile) String() string {
	if p == Envoy136 {
		return "envoy-1.36"
	}
	return "envoy-1.40"
}

// ParseProfile reads "envoy-1.36" or "envoy-1.40".
func ParseProfile(name string) (Profile, bool) {
	for _, p := range []Profile{Envoy136, Envoy140} {
		if p.String() == name {
			return p, true
		}
	}
	return 0, false
}

func (p Profile) apply(c *config) { c.profile = p }

// phase is what a VM is doing, as far as it limits what the guest may call.
type phase int

const (
	phaseRun   phase = iota // anything linked
	phaseStart              // _initialize, main, _start: WasmBase::startVm
	phaseAlloc              // malloc, proxy_on_memory_allocate: WasmBase::allocMemory
)

// allowed reports whether the host function may be called in that phase; if not,
// the VM traps with "restricted_callback" (WasmVm::setRestrictedCallback).
func (p Profile) allowed(ph phase, module, name string) bool {
	switch {
	case ph == phaseRun:
		return true
	case module == "env":
		return name == "proxy_log" || name == "emscripten_notify_memory_growth" && ph == phaseStart
	case ph == phaseAlloc:
		return name == "fd_write" || name == "clock_time_get" || name == "poll_oneoff" && p == Envoy140
	case p == Envoy136:
		return startCalls136[name]
	}
	return !startTraps140[name]
}

// startCalls136 is the list of what a VM may call while it starts.
var startCalls136 = set("fd_write", "args_sizes_get", "args_get", "environ_sizes_get", "environ_get",
	"fd_prestat_get", "fd_prestat_dir_name", "clock_time_get", "random_get", "fd_fdstat_get",
	"fd_fdstat_set_flags")

// startTraps140 are the few functions that the newer list leaves out.
var startTraps140 = set("fd_read", "fd_seek", "fd_close", "sched_yield", "proc_exit", "path_open")

// links136 are the WASI functions that the older host links; a module that
// imports another cannot be loaded.
var links136 = set("fd_write", "fd_read", "fd_seek", "fd_close", "fd_fdstat_get", "fd_fdstat_set_flags",
	"environ_get", "environ_sizes_get", "args_get", "args_sizes_get", "clock_time_get", "random_get",
	"sched_yield", "poll_oneoff", "proc_exit", "path_open", "fd_prestat_get", "fd_prestat_dir_name")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

package wasm

// Profile is which part of WASI a guest meets.
type Profile struct {
	Name string
	// links are the functions that can be imported; nil for all of wasiCalls.
	links map[string]bool
	// inStart reports whether a guest may call a function while it starts; if it does and may not, it traps with
	// "restricted_callback" (WasmVm::setRestrictedCallback).
	inStart func(name string) bool
	// polls is whether poll_oneoff works. Where it does, an allocator may call it.
	polls bool
}

// The profiles: proxy-wasm-cpp-host at and after #533, and between #427 and #533.
var (
	Envoy140 = &Profile{Name: "envoy-1.40", polls: true,
		inStart: func(name string) bool {
			return !set("fd_read", "fd_seek", "fd_close", "sched_yield", "proc_exit", "path_open")[name]
		},
	}
	Envoy136 = &Profile{Name: "envoy-1.36",
		links: set("fd_write", "fd_read", "fd_seek", "fd_close", "fd_fdstat_get", "fd_fdstat_set_flags",
			"environ_get", "environ_sizes_get", "args_get", "args_sizes_get", "clock_time_get", "random_get",
			"sched_yield", "poll_oneoff", "proc_exit", "path_open", "fd_prestat_get", "fd_prestat_dir_name"),
		inStart: func(name string) bool {
			return set("fd_write", "args_sizes_get", "args_get", "environ_sizes_get", "environ_get",
				"fd_prestat_get", "fd_prestat_dir_name", "clock_time_get", "random_get", "fd_fdstat_get",
				"fd_fdstat_set_flags")[name]
		},
	}
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// wasi are the functions of the profile.
func (p *Profile) wasi() []Func {
	var funcs []Func
	for _, module := range []string{"wasi_snapshot_preview1", "wasi_unstable"} {
		for _, f := range wasiCalls {
			if p.links == nil || p.links[f.Name] {
				f.Module, f.InStart = module, p.inStart(f.Name)
				f.InAlloc = f.Name == "fd_write" || f.Name == "clock_time_get" || f.Name == "poll_oneoff" && p.polls
				funcs = append(funcs, f)
			}
		}
	}
	return funcs
}

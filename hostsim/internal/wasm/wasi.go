package wasm

import "time"

// WASI error numbers (wasi-libc, wasi/api.h).
const (
	errnoOK     uint32 = 0
	errnoBadF   uint32 = 8
	errnoNotDir uint32 = 20
	errnoFault  uint32 = 21
	errnoInval  uint32 = 28
	errnoNoEnt  uint32 = 44
	errnoNoSys  uint32 = 52
	errnoNotSup uint32 = 58
)

// WASI's own numbers and sizes.
const (
	stdout, stderr           = 1, 2
	clockRealtime, clockMono = 0, 1
	rightsWrite              = 64
	wordSize, fdstatBytes    = 4, 24
	maxRandom                = 64 << 10 // PROXY_WASM_HOST_WASI_RANDOM_GET_MAX_SIZE_BYTES
)

// Limits on the text that the host builds from one fd_write. Envoy has no such limits.
const (
	maxIOVecs   = 1 << 16
	maxLogBytes = 1 << 20
)

// A guest's sleep: see poll.
const (
	freePolls = 64
	pollTime  = time.Millisecond
)

// wasiCalls is Envoy's WASI (proxy-wasm-cpp-host src/exports.cc, wasi_unstable_*): a stage set rather than a system.
// Standard output and error go to the host, there are no files, and waiting returns at once.
var wasiCalls = []Func{
	{Name: "fd_write", Sig: "uxuU", Fn: fdWrite},
	{Name: "fd_pwrite", Sig: "uxulU", Fn: func(i *Instance, a []uint64) uint32 {
		return fdWrite(i, []uint64{a[0], a[1], a[2], a[4]})
	}},
	{Name: "fd_read", Sig: "uxuU", Fn: answer(errnoNoSys)},
	{Name: "fd_pread", Sig: "uxulU", Fn: answer(errnoNoSys)},
	{Name: "fd_seek", Sig: "uluL", Fn: answer(errnoOK)},
	{Name: "fd_close", Sig: "u", Fn: answer(errnoOK)},
	{Name: "fd_fdstat_get", Sig: "ux", Fn: fdstatGet},
	{Name: "fd_fdstat_set_flags", Sig: "uu", Fn: answer(errnoNoSys)},
	{Name: "fd_fdstat_set_rights", Sig: "ull", Fn: onStdio(errnoOK)},
	{Name: "fd_advise", Sig: "ullu", Fn: answer(errnoOK)},
	{Name: "fd_allocate", Sig: "ull", Fn: onStdio(errnoOK)},
	{Name: "fd_datasync", Sig: "u", Fn: onStdio(errnoOK)},
	{Name: "fd_sync", Sig: "u", Fn: onStdio(errnoOK)},
	{Name: "fd_filestat_get", Sig: "ux", Fn: answer(errnoBadF)},
	{Name: "fd_filestat_set_size", Sig: "ul", Fn: onStdio(errnoOK)},
	{Name: "fd_filestat_set_times", Sig: "ullu", Fn: onStdio(errnoOK)},
	{Name: "fd_prestat_get", Sig: "ux", Fn: answer(errnoBadF)},
	{Name: "fd_prestat_dir_name", Sig: "uxu", Fn: answer(errnoNoSys)},
	{Name: "fd_readdir", Sig: "uxulU", Fn: func(i *Instance, a []uint64) uint32 {
		return i.zero32(a[4], errnoNotDir)
	}},
	{Name: "fd_renumber", Sig: "uu", Fn: func(_ *Instance, a []uint64) uint32 {
		if !stdio(a[0]) || !stdio(a[1]) {
			return errnoBadF
		}
		return errnoNotSup
	}},
	{Name: "fd_tell", Sig: "uL", Fn: func(i *Instance, a []uint64) uint32 {
		if !stdio(a[0]) {
			return errnoBadF
		}
		if !i.Write64(a[1], 0) {
			return errnoFault
		}
		return errnoOK
	}},
	{Name: "path_open", Sig: "uuxuulluU", Fn: answer(errnoNoEnt)},
	{Name: "path_create_directory", Sig: "us", Fn: answer(errnoNotSup)},
	{Name: "path_filestat_get", Sig: "uusx", Fn: answer(errnoNotSup)},
	{Name: "path_filestat_set_times", Sig: "uusllu", Fn: answer(errnoNotSup)},
	{Name: "path_link", Sig: "uuxuxx", Fn: answer(errnoNotSup)},
	{Name: "path_readlink", Sig: "usxuU", Fn: func(i *Instance, a []uint64) uint32 { return i.zero32(a[5], errnoNotSup) }},
	{Name: "path_remove_directory", Sig: "us", Fn: answer(errnoNotSup)},
	{Name: "path_rename", Sig: "usus", Fn: answer(errnoNotSup)},
	{Name: "path_symlink", Sig: "xuux", Fn: answer(errnoNotSup)},
	{Name: "path_unlink_file", Sig: "us", Fn: answer(errnoNotSup)},
	{Name: "sock_accept", Sig: "uuU", Fn: func(i *Instance, a []uint64) uint32 { return i.zero32(a[2], errnoNotSup) }},
	{Name: "sock_recv", Sig: "uxuuUU", Fn: func(i *Instance, a []uint64) uint32 { return i.zero32(a[4], errnoNotSup) }},
	{Name: "sock_send", Sig: "uxuuU", Fn: func(i *Instance, a []uint64) uint32 { return i.zero32(a[4], errnoNotSup) }},
	{Name: "sock_shutdown", Sig: "uu", Fn: answer(errnoNotSup)},
	{Name: "environ_sizes_get", Sig: "UU", Fn: environSizes},
	{Name: "environ_get", Sig: "xx", Fn: environGet},
	{Name: "args_sizes_get", Sig: "UU", Fn: func(i *Instance, a []uint64) uint32 {
		if !i.Write32(a[0], 0) || !i.Write32(a[1], 0) {
			return errnoFault
		}
		return errnoOK
	}},
	{Name: "args_get", Sig: "xx", Fn: answer(errnoOK)},
	{Name: "clock_time_get", Sig: "ulL", Fn: clockTime},
	{Name: "clock_res_get", Sig: "uL", Fn: func(i *Instance, a []uint64) uint32 {
		if uint32(a[0]) > clockMono {
			return errnoNotSup
		}
		if !i.Write64(a[1], 1) {
			return errnoFault
		}
		return errnoOK
	}},
	{Name: "random_get", Sig: "xu", Fn: random},
	{Name: "sched_yield", Sig: "", Fn: answer(errnoOK)},
	{Name: "poll_oneoff", Sig: "xxuU", Fn: poll},
	// It returns: Envoy cannot be ended by a plugin, so the code behind runs on.
	{Name: "proc_exit", Sig: "u", Void: true, Fn: answer(errnoOK)},
}

// answer is a call that does nothing but say so.
func answer(s uint32) func(*Instance, []uint64) uint32 {
	return func(*Instance, []uint64) uint32 { return s }
}

// onStdio answers s for standard output and error, EBADF for the rest.
func onStdio(s uint32) func(*Instance, []uint64) uint32 {
	return func(_ *Instance, a []uint64) uint32 {
		if !stdio(a[0]) {
			return errnoBadF
		}
		return s
	}
}

func stdio(fd uint64) bool { return uint32(fd) == stdout || uint32(fd) == stderr }

// zero32 clears a result and returns s.
func (i *Instance) zero32(ptr uint64, s uint32) uint32 {
	if !i.Write32(ptr, 0) {
		return errnoFault
	}
	return s
}

// fdWrite prints to standard output or error, without the last newline (writevImpl).
func fdWrite(i *Instance, a []uint64) uint32 {
	if !stdio(a[0]) {
		return errnoBadF
	}
	if uint32(a[2]) > maxIOVecs {
		return errnoFault
	}
	var text []byte
	for n := range uint64(uint32(a[2])) {
		ptr, ok := i.Read32(a[1] + 8*n)
		size, ok2 := i.Read32(a[1] + 8*n + 4)
		if !ok || !ok2 {
			return errnoFault
		}
		b, ok := i.Bytes(uint64(ptr), uint64(size))
		if !ok || len(text)+len(b) > maxLogBytes {
			return errnoFault
		}
		text = append(text, b...)
	}
	written := len(text)
	if written > 0 {
		i.Host.Print(uint32(a[0]) == stderr, string(text))
	}
	if !i.Write32(a[3], uint32(written)) {
		return errnoFault
	}
	return errnoOK
}

// fdstatGet knows standard output and error, which can be written to.
func fdstatGet(i *Instance, a []uint64) uint32 {
	if !stdio(a[0]) {
		return errnoBadF
	}
	if b, ok := i.Bytes(a[1], fdstatBytes); ok {
		clear(b)
		b[8] = rightsWrite
	}
	return errnoOK
}

func environSizes(i *Instance, a []uint64) uint32 {
	size := 0
	for _, e := range i.Host.Env() {
		size += len(e) + 1
	}
	if !i.Write32(a[0], uint32(len(i.Host.Env()))) || !i.Write32(a[1], uint32(size)) {
		return errnoFault
	}
	return errnoOK
}

func environGet(i *Instance, a []uint64) uint32 {
	array, buf := a[0], a[1]
	for _, e := range i.Host.Env() {
		if !i.Write32(array, uint32(buf)) {
			return errnoFault
		}
		b, ok := i.Bytes(buf, uint64(len(e)+1))
		if !ok {
			return errnoFault
		}
		copy(b, e)
		b[len(e)] = 0
		array += wordSize
		buf += uint64(len(e) + 1)
	}
	return errnoOK
}

// clockTime reads the virtual clocks.
func clockTime(i *Instance, a []uint64) uint32 {
	var now int64
	switch uint32(a[0]) {
	case clockRealtime:
		now = i.Host.Clock().Realtime().UnixNano()
	case clockMono:
		now = i.Host.Clock().Monotonic()
	default:
		return errnoNotSup
	}
	if !i.Write64(a[2], uint64(now)) {
		return errnoFault
	}
	return errnoOK
}

// random fills from the host's seed.
func random(i *Instance, a []uint64) uint32 {
	if uint32(a[1]) > maxRandom {
		return errnoInval
	}
	if uint32(a[1]) == 0 {
		return errnoOK
	}
	b, ok := i.Bytes(a[0], uint64(uint32(a[1])))
	if !ok {
		return errnoFault
	}
	i.Host.Random(b)
	return errnoOK
}

// poll returns at once with no event. A guest that sleeps calls it over and over until the clock has moved, which takes
// real time in an Envoy; here each poll from the 65th within one call into the VM lets a millisecond of virtual time
// pass, so that such a guest goes on.
func poll(i *Instance, a []uint64) uint32 {
	if !i.profile.polls {
		return errnoNoSys
	}
	if i.polls++; i.polls > freePolls {
		i.Host.Clock().Spend(pollTime)
	}
	return i.zero32(a[3], errnoOK)
}

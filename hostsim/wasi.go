package hostsim

import "time"

// WASI error numbers (wasi-libc, wasi/api.h).
const (
	wasiOK     status = 0
	wasiBadF   status = 8
	wasiNotDir status = 20
	wasiFault  status = 21
	wasiInval  status = 28
	wasiNoEnt  status = 44
	wasiNoSys  status = 52
	wasiNotSup status = 58
)

// WASI's own numbers and sizes.
const (
	stdout, stderr           = 1, 2
	clockRealtime, clockMono = 0, 1
	rightsWrite              = 64
	wordSize, fdstatBytes    = 4, 24
	maxRandom                = 64 << 10 // PROXY_WASM_HOST_WASI_RANDOM_GET_MAX_SIZE_BYTES
)

// Bounds on what a guest can make the host build of one fd_write; Envoy has none.
const (
	maxIOVecs   = 1 << 16
	maxLogBytes = 1 << 20
)

// A guest's sleep: see wasiPoll.
const (
	freePolls = 64
	pollTime  = time.Millisecond
)

// wasiCalls is Envoy's WASI (proxy-wasm-cpp-host src/exports.cc, wasi_unstable_*):
// a stage set rather than a system. Standard output and error go to the log, there
// are no files, and waiting returns at once.
var wasiCalls = []hostCall{
	{name: "fd_write", sig: "uxuU", fn: wasiFdWrite},
	{name: "fd_pwrite", sig: "uxulU", fn: func(v *vm, a []uint64) status {
		return wasiFdWrite(v, []uint64{a[0], a[1], a[2], a[4]})
	}},
	{name: "fd_read", sig: "uxuU", fn: answer(wasiNoSys)},
	{name: "fd_pread", sig: "uxulU", fn: answer(wasiNoSys)},
	{name: "fd_seek", sig: "uluL", fn: answer(wasiOK)},
	{name: "fd_close", sig: "u", fn: answer(wasiOK)},
	{name: "fd_fdstat_get", sig: "ux", fn: wasiFdstatGet},
	{name: "fd_fdstat_set_flags", sig: "uu", fn: answer(wasiNoSys)},
	{name: "fd_fdstat_set_rights", sig: "ull", fn: onStdio(wasiOK)},
	{name: "fd_advise", sig: "ullu", fn: answer(wasiOK)},
	{name: "fd_allocate", sig: "ull", fn: onStdio(wasiOK)},
	{name: "fd_datasync", sig: "u", fn: onStdio(wasiOK)},
	{name: "fd_sync", sig: "u", fn: onStdio(wasiOK)},
	{name: "fd_filestat_get", sig: "ux", fn: answer(wasiBadF)},
	{name: "fd_filestat_set_size", sig: "ul", fn: onStdio(wasiOK)},
	{name: "fd_filestat_set_times", sig: "ullu", fn: onStdio(wasiOK)},
	{name: "fd_prestat_get", sig: "ux", fn: answer(wasiBadF)},
	{name: "fd_prestat_dir_name", sig: "uxu", fn: answer(wasiNoSys)},
	{name: "fd_readdir", sig: "uxulU", fn: func(v *vm, a []uint64) status {
		return v.zero32(a[4], wasiNotDir)
	}},
	{name: "fd_renumber", sig: "uu", fn: func(_ *vm, a []uint64) status {
		if !stdio(a[0]) || !stdio(a[1]) {
			return wasiBadF
		}
		return wasiNotSup
	}},
	{name: "fd_tell", sig: "uL", fn: func(v *vm, a []uint64) status {
		if !stdio(a[0]) {
			return wasiBadF
		}
		if !v.write64(a[1], 0) {
			return wasiFault
		}
		return wasiOK
	}},
	{name: "path_open", sig: "uuxuulluU", fn: answer(wasiNoEnt)},
	{name: "path_create_directory", sig: "us", fn: answer(wasiNotSup)},
	{name: "path_filestat_get", sig: "uusx", fn: answer(wasiNotSup)},
	{name: "path_filestat_set_times", sig: "uusllu", fn: answer(wasiNotSup)},
	{name: "path_link", sig: "uuxuxx", fn: answer(wasiNotSup)},
	{name: "path_readlink", sig: "usxuU", fn: func(v *vm, a []uint64) status { return v.zero32(a[5], wasiNotSup) }},
	{name: "path_remove_directory", sig: "us", fn: answer(wasiNotSup)},
	{name: "path_rename", sig: "usus", fn: answer(wasiNotSup)},
	{name: "path_symlink", sig: "xuux", fn: answer(wasiNotSup)},
	{name: "path_unlink_file", sig: "us", fn: answer(wasiNotSup)},
	{name: "sock_accept", sig: "uuU", fn: func(v *vm, a []uint64) status { return v.zero32(a[2], wasiNotSup) }},
	{name: "sock_recv", sig: "uxuuUU", fn: func(v *vm, a []uint64) status { return v.zero32(a[4], wasiNotSup) }},
	{name: "sock_send", sig: "uxuuU", fn: func(v *vm, a []uint64) status { return v.zero32(a[4], wasiNotSup) }},
	{name: "sock_shutdown", sig: "uu", fn: answer(wasiNotSup)},
	{name: "environ_sizes_get", sig: "UU", fn: wasiEnvironSizes},
	{name: "environ_get", sig: "xx", fn: wasiEnvironGet},
	{name: "args_sizes_get", sig: "UU", fn: func(v *vm, a []uint64) status {
		if !v.write32(a[0], 0) || !v.write32(a[1], 0) {
			return wasiFault
		}
		return wasiOK
	}},
	{name: "args_get", sig: "xx", fn: answer(wasiOK)},
	{name: "clock_time_get", sig: "ulL", fn: wasiClockTime},
	{name: "clock_res_get", sig: "uL", fn: func(v *vm, a []uint64) status {
		if uint32(a[0]) > clockMono {
			return wasiNotSup
		}
		if !v.write64(a[1], 1) {
			return wasiFault
		}
		return wasiOK
	}},
	{name: "random_get", sig: "xu", fn: wasiRandom},
	{name: "sched_yield", sig: "", fn: answer(wasiOK)},
	{name: "poll_oneoff", sig: "xxuU", fn: wasiPoll},
	// It returns: Envoy cannot be ended by a plugin, so the code behind runs on.
	{name: "proc_exit", sig: "u", void: true, fn: answer(wasiOK)},
}

// answer is a call that does nothing but say so.
func answer(s status) func(*vm, []uint64) status {
	return func(*vm, []uint64) status { return s }
}

// onStdio answers s for standard output and error, EBADF for the rest.
func onStdio(s status) func(*vm, []uint64) status {
	return func(_ *vm, a []uint64) status {
		if !stdio(a[0]) {
			return wasiBadF
		}
		return s
	}
}

func stdio(fd uint64) bool { return uint32(fd) == stdout || uint32(fd) == stderr }

// zero32 clears a result and returns s.
func (v *vm) zero32(ptr uint64, s status) status {
	if !v.write32(ptr, 0) {
		return wasiFault
	}
	return s
}

// wasiFdWrite logs standard output as info and standard error as error, without
// the last newline (writevImpl).
func wasiFdWrite(v *vm, a []uint64) status {
	level := LogInfo
	switch uint32(a[0]) {
	case stdout:
	case stderr:
		level = LogError
	default:
		return wasiBadF
	}
	if uint32(a[2]) > maxIOVecs {
		return wasiFault
	}
	var text []byte
	for i := uint64(0); i < uint64(uint32(a[2])); i++ {
		ptr, ok := v.read32(a[1] + 8*i)
		size, ok2 := v.read32(a[1] + 8*i + 4)
		if !ok || !ok2 {
			return wasiFault
		}
		b, ok := v.bytes(uint64(ptr), uint64(size))
		if !ok || len(text)+len(b) > maxLogBytes {
			return wasiFault
		}
		text = append(text, b...)
	}
	written := len(text)
	if written > 0 {
		if text[written-1] == '\n' {
			text = text[:written-1]
		}
		v.log(level, string(text))
	}
	if !v.write32(a[3], uint32(written)) {
		return wasiFault
	}
	return wasiOK
}

// wasiFdstatGet knows standard output and error, which can be written to.
func wasiFdstatGet(v *vm, a []uint64) status {
	if !stdio(a[0]) {
		return wasiBadF
	}
	if b, ok := v.bytes(a[1], fdstatBytes); ok {
		clear(b)
		b[8] = rightsWrite
	}
	return wasiOK
}

func wasiEnvironSizes(v *vm, a []uint64) status {
	size := 0
	for _, e := range v.host.cfg.env {
		size += len(e) + 1
	}
	if !v.write32(a[0], uint32(len(v.host.cfg.env))) || !v.write32(a[1], uint32(size)) {
		return wasiFault
	}
	return wasiOK
}

func wasiEnvironGet(v *vm, a []uint64) status {
	array, buf := a[0], a[1]
	for _, e := range v.host.cfg.env {
		if !v.write32(array, uint32(buf)) {
			return wasiFault
		}
		b, ok := v.bytes(buf, uint64(len(e)+1))
		if !ok {
			return wasiFault
		}
		copy(b, e)
		b[len(e)] = 0
		array += wordSize
		buf += uint64(len(e) + 1)
	}
	return wasiOK
}

// wasiClockTime reads the virtual clocks.
func wasiClockTime(v *vm, a []uint64) status {
	var now int64
	switch uint32(a[0]) {
	case clockRealtime:
		now = v.host.time.Realtime().UnixNano()
	case clockMono:
		now = v.host.time.Monotonic()
	default:
		return wasiNotSup
	}
	if !v.write64(a[2], uint64(now)) {
		return wasiFault
	}
	return wasiOK
}

// wasiRandom fills from the host's seed.
func wasiRandom(v *vm, a []uint64) status {
	if uint32(a[1]) > maxRandom {
		return wasiInval
	}
	if uint32(a[1]) == 0 {
		return wasiOK
	}
	b, ok := v.bytes(a[0], uint64(uint32(a[1])))
	if !ok {
		return wasiFault
	}
	v.host.random.Read(b)
	return wasiOK
}

// wasiPoll returns at once with no event. A guest that sleeps calls it over and
// over until the clock has moved, which takes real time in an Envoy; here, from
// the 65th time within one call into the VM, each poll lets a millisecond of
// virtual time pass, so that such a guest gets there.
func wasiPoll(v *vm, a []uint64) status {
	if v.host.cfg.profile == Envoy136 {
		return wasiNoSys
	}
	if v.polls++; v.polls > freePolls {
		v.host.time.Spend(pollTime)
	}
	return v.zero32(a[3], wasiOK)
}

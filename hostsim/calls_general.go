package hostsim

import (
	"errors"

	"github.com/healthgate/healthgate/hostsim/internal/sharedqueue"
)

// generalCalls are logging, time, contexts, properties, foreign functions and metrics.
var generalCalls = []hostCall{
	{name: "proxy_log", sig: "ut", inStart: true, inAlloc: true, fn: proxyLog},
	{name: "proxy_get_log_level", sig: "U", fn: func(v *vm, a []uint64) status {
		return v.out32(a[0], uint32(v.host.cfg.logLevel))
	}},
	{name: "proxy_get_status", sig: "US", fn: proxyGetStatus},
	{name: "proxy_get_current_time_nanoseconds", sig: "L", fn: func(v *vm, a []uint64) status {
		return v.out64(a[0], uint64(v.host.time.Realtime().UnixNano()))
	}},
	{name: "proxy_set_tick_period_milliseconds", sig: "u", fn: func(v *vm, a []uint64) status {
		v.effectiveContext().root.setTickPeriod(uint32(a[0]))
		return statusOK
	}},
	{name: "proxy_set_effective_context", sig: "u", fn: proxySetEffectiveContext},
	{name: "proxy_done", sig: "", fn: proxyDone},
	{name: "proxy_get_property", sig: "sS", fn: proxyGetProperty},
	{name: "proxy_set_property", sig: "ss", fn: proxySetProperty},
	{name: "proxy_call_foreign_function", sig: "ssS", fn: proxyCallForeignFunction},
	{name: "proxy_define_metric", sig: "usU", fn: proxyDefineMetric},
	{name: "proxy_increment_metric", sig: "ul", fn: proxyIncrementMetric},
	{name: "proxy_record_metric", sig: "ul", fn: proxyRecordMetric},
	{name: "proxy_get_metric", sig: "uL", fn: proxyGetMetric},
}

// runtimeCalls are functions that compilers expect in the module env.
var runtimeCalls = []hostCall{
	{name: "pthread_equal", sig: "uu", fn: func(_ *vm, a []uint64) status {
		if uint32(a[0]) == uint32(a[1]) {
			return 1
		}
		return 0
	}},
	{name: "emscripten_notify_memory_growth", sig: "u", void: true, inStart: true, fn: func(*vm, []uint64) status {
		return statusOK
	}},
}

func proxyLog(v *vm, a []uint64) status {
	if uint32(a[0]) > uint32(LogCritical) {
		return statusBadArgument
	}
	msg, ok := v.Text(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	v.log(LogLevel(a[0]), msg)
	return statusOK
}

// proxyGetStatus tells how the last callout of the root went.
func proxyGetStatus(v *vm, a []uint64) status {
	root := v.effectiveContext().root
	if st := v.out32(a[0], root.statusCode); st != statusOK {
		return st
	}
	return v.give(root.statusText, a[1], a[2])
}

// proxySetEffectiveContext lets the rest of this call act for another context of the VM. 0 means the context whose
// callback runs.
func proxySetEffectiveContext(v *vm, a []uint64) status {
	id := uint32(a[0])
	if id != 0 && v.contexts[id] == nil {
		return statusBadArgument
	}
	v.effective = id
	return statusOK
}

// proxyDone finds nothing to end: a plugin that answers "not yet" to on_done is gone
// with its VM before it could call again.
func proxyDone(*vm, []uint64) status { return statusNotFound }

func proxyGetProperty(v *vm, a []uint64) status {
	path := v.bytes(a[0], a[1])
	value, st := v.effectiveContext().property(path)
	if st != statusOK {
		return st
	}
	return v.give(value, a[2], a[3])
}

func proxySetProperty(v *vm, a []uint64) status {
	path := v.text(a[0], a[1])
	value := v.text(a[2], a[3])
	return v.effectiveContext().setProperty(path, value)
}

// sharedCalls are shared data and shared queues.
var sharedCalls = []hostCall{
	{name: "proxy_get_shared_data", sig: "sSU", fn: proxyGetSharedData},
	{name: "proxy_set_shared_data", sig: "ssu", fn: proxySetSharedData},
	{name: "proxy_register_shared_queue", sig: "sU", fn: proxyRegisterSharedQueue},
	{name: "proxy_resolve_shared_queue", sig: "ssU", fn: proxyResolveSharedQueue},
	{name: "proxy_enqueue_shared_queue", sig: "us", fn: proxyEnqueueSharedQueue},
	{name: "proxy_dequeue_shared_queue", sig: "uS", fn: proxyDequeueSharedQueue},
}

func proxyGetSharedData(v *vm, a []uint64) status {
	key := v.bytes(a[0], a[1])
	e, err := v.host.shared.Get(v.plugin.vmID, key)
	if err != nil {
		return statusNotFound
	}
	if st := v.give(e.Value, a[2], a[3]); st != statusOK {
		return st
	}
	return v.out32(a[4], e.Cas)
}

func proxySetSharedData(v *vm, a []uint64) status {
	key := v.text(a[0], a[1])
	value := v.text(a[2], a[3])
	v.casFault(key)
	if v.host.shared.Set(v.plugin.vmID, key, value, uint32(a[4])) != nil {
		return statusCasMismatch
	}
	return statusOK
}

func proxyRegisterSharedQueue(v *vm, a []uint64) status {
	name := v.text(a[0], a[1])
	root := v.effectiveContext().root.id
	token := v.host.queues.Register(v.plugin.vmID, name, v.queueReady(root))
	return v.out32(a[2], token)
}

// queueReady schedules on_queue_ready on the thread of the registrant, for the VM that lives there by then: Envoy finds
// the VM by its key. So a queue that the canary registered calls the VM of the main thread.
func (v *vm) queueReady(root uint32) func(token uint32) {
	return func(token uint32) {
		t := v.thread
		v.host.after(0, t, func() {
			now := t.vms[v.plugin.vm]
			if now == nil {
				return
			}
			if c := now.contexts[root]; c != nil {
				c.callback(expQueueReady, c.id64(), uint64(token))
			}
		})
	}
}

func proxyResolveSharedQueue(v *vm, a []uint64) status {
	vmID := v.text(a[0], a[1])
	name := v.text(a[2], a[3])
	if vmID == "" {
		vmID = v.plugin.vmID
	}
	token, err := v.host.queues.Resolve(vmID, name)
	if err != nil {
		return statusNotFound
	}
	return v.out32(a[4], token)
}

func proxyEnqueueSharedQueue(v *vm, a []uint64) status {
	value := v.text(a[1], a[2])
	if v.host.queues.Enqueue(uint32(a[0]), value) != nil {
		return statusNotFound
	}
	return statusOK
}

func proxyDequeueSharedQueue(v *vm, a []uint64) status {
	value, err := v.host.queues.Dequeue(uint32(a[0]))
	switch {
	case errors.Is(err, sharedqueue.ErrEmpty):
		return statusEmpty
	case err != nil:
		return statusNotFound
	}
	return v.give(value, a[1], a[2])
}

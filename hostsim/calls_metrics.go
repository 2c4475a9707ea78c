package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/metrics"

// metricIDStep leaves room for the kind in a metric's two lowest bits.
const (
	metricIDStep = 4
	metricKinds  = 3
)

// proxyDefineMetric returns a new ID in each call, and uses the same stat for the same name (Context::defineMetric).
func proxyDefineMetric(v *vm, a []uint64) status {
	name := v.text(a[1], a[2])
	kind := metrics.Kind(a[0])
	if kind >= metricKinds {
		return statusBadArgument
	}
	v.nextMetric[kind] += metricIDStep
	id := v.nextMetric[kind]
	v.metrics[id] = v.host.metrics.Define(kind, name)
	return v.out32(a[3], id)
}

// numeric returns the counter or gauge of an ID. A histogram has no value.
func (v *vm) numeric(id uint32) (*metrics.Stat, status) {
	if k := metrics.Kind(id % metricIDStep); k != metrics.Counter && k != metrics.Gauge {
		return nil, statusBadArgument
	}
	if st := v.metrics[id]; st != nil {
		return st, statusOK
	}
	return nil, statusNotFound
}

// proxyIncrementMetric adds to a counter (more than 0 only) or a gauge.
func proxyIncrementMetric(v *vm, a []uint64) status {
	st, found := v.numeric(uint32(a[0]))
	if found != statusOK {
		return found
	}
	if st.Kind() == metrics.Counter && int64(a[1]) <= 0 {
		return statusBadArgument
	}
	st.Add(a[1])
	return statusOK
}

// proxyRecordMetric sets a gauge, adds to a counter, samples a histogram.
func proxyRecordMetric(v *vm, a []uint64) status {
	st := v.metrics[uint32(a[0])]
	if st == nil {
		return statusNotFound
	}
	switch st.Kind() {
	case metrics.Counter:
		st.Add(a[1])
	case metrics.Gauge:
		st.Set(a[1])
	default:
		st.Record(a[1])
	}
	return statusOK
}

// proxyGetMetric reads a counter or gauge.
func proxyGetMetric(v *vm, a []uint64) status {
	st, found := v.numeric(uint32(a[0]))
	if found != statusOK {
		return found
	}
	return v.out64(a[1], st.Value())
}

//go:build wasm

package main

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/match"
	"github.com/healthgate/healthgate/filter/monitor"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/succession"
	"github.com/healthgate/healthgate/filter/voice"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// prefix marks the plugin's log lines.
const prefix = "healthgate: "

// storePrefix begins the keys in shared data. A build that stores in another form must not wait for what VMs of this
// one write: after an update of the plugin both are at work.
var storePrefix = "healthgate/" + strconv.Itoa(snapshot.Version) + "/"

// recordKey is a key that the configurations share which have the same state.
func recordKey(state uint64, key string) string {
	return storePrefix + strconv.FormatUint(state, 16) + "/" + key
}

// plugin is the root context of one configuration in one VM.
type plugin struct {
	types.DefaultPluginContext

	config  *config.Config
	name    string
	node    config.Node
	table   *match.Table
	clock   host.Clock
	metrics metrics
	checks  checks // the HTTP context that all streams share
	view    view

	toldOrigin bool // that requests come from where no peer has an address

	period   duration.Duration // of the tick
	calm     duration.Duration // what it is while no check waits
	owner    uint64            // this VM in the election
	leaseKey string
	voiceKey string
	voice    *voice.Voice
	monitor  *monitor.Monitor // nil unless this VM leads
	renewed  int64            // when its lease began or was renewed
	calls    []callout        // under way

	demanded     []int64 // by probe: when this VM last had the leader ask on demand; nil if no probe is for that
	waits        int     // how many checks wait
	family               // what it has to do with other configurations of the VM
	saidIntruded bool
}

var _ types.PluginContext = (*plugin)(nil)

// OnPluginStart reads the configuration. Envoy also calls it in a canary VM that it throws away, and in the course of
// --mode validate: nothing here may write what VMs agree on.
func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	host.OpenScratch() // begins the count of what was refused; what is read here must last
	host.CloseScratch()
	text := host.Configuration() // no configuration is an error of Parse's
	p.node = node()
	p.name, _ = host.Property("plugin_name")
	c, err := config.Parse(text, p.node)
	if err != nil {
		host.LogCritical(prefix + "config: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	for i := range c.Warnings {
		warn("config: " + c.Warnings[i].Error())
	}
	p.id = succession.Identity{Config: config.Hash(string(text)), Name: config.Hash(p.name), State: c.Fingerprint}
	p.config, p.table = c, match.NewTable(c.Endpoints)
	p.owner, p.leaseKey, p.renewed = host.Random(), recordKey(p.id.State, "lease"), lapsed
	p.metrics = defineMetrics(c)
	p.view = newView(c, p.id.State)
	p.voice, p.voiceKey = voice.New(c), recordKey(p.id.State, "voice/")+strconv.FormatUint(c.EndpointsFingerprint, 16)
	p.checks = newChecks(p)
	if c.OnDemand {
		p.demanded = make([]int64, len(c.Probes))
	}
	// The timer comes last: a host goes on calling a root context that could not start.
	if host.MetricsRefused() || host.Starved() || (len(c.Probes) > 0 || c.Admin != nil) && !p.tickEvery(firstPeriod) {
		host.LogCritical(prefix + "the host has no timers, no metrics, or no memory")
		return types.OnPluginStartStatusFailed
	}
	p.join()
	return types.OnPluginStartStatusOK
}

// warn logs a line once in a process and not in each of its VMs. Shared data remembers what was said; it makes no
// difference if a VM said it that is thrown away.
func warn(line string) {
	name, _ := host.Property("plugin_name")
	key := prefix + line + " (" + name + ")"
	if _, _, said := host.SharedData(key); !said {
		_ = host.SetSharedData(key, nil, 0) // else it is said again
		host.LogWarn(prefix + line)
	}
}

func node() config.Node {
	property := func(path string) string {
		value, _ := host.Property("xds\x00node\x00" + path)
		return value
	}
	return config.Node{
		ID:      property("id"),
		Cluster: property("cluster"),
		Region:  property("locality\x00region"),
		Zone:    property("locality\x00zone"),
	}
}

const (
	// firstPeriod is the tick until the first election is over: a fresh Envoy answers UNKNOWN until then.
	firstPeriod = 50 * duration.Millisecond
	// electionPeriod is the tick of a VM that does not lead: how late it may notice that a lease expired.
	electionPeriod = lease.Renewal
)

// tickEvery sets the tick's period, and reports whether the host has timers. The host starts a period anew each time
// it is set, so it is set only to change it.
func (p *plugin) tickEvery(period duration.Duration) bool {
	p.calm = period
	if p.waits > 0 {
		period = waitPeriod
	}
	if period == p.period {
		return true
	}
	p.period = period
	return host.SetTickPeriodMilliSeconds(uint32(period/duration.Millisecond)) == nil
}

// OnPluginDone frees the lease, so that another VM goes on without waiting for it to expire. There is none to go on if
// this is an old configuration, whose contexts end in all VMs; and in this VM another one of the same state may.
func (p *plugin) OnPluginDone() bool {
	p.leave()
	if p.monitor == nil || p.replaced {
		return true
	}
	now := p.clock.Monotonic()
	if stored, cas, ok := host.SharedData(p.leaseKey); ok && lease.Next(stored, true, p.owner, now) != lease.Follow {
		_ = host.SetSharedData(p.leaseKey, lease.Free(), cas) // a mismatch means that another VM has it
	}
	return true
}

package hostsim

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// PluginOption sets up one plugin: that of New, where it is an Option like any other, or a further one.
type PluginOption interface {
	Option
	applyPlugin(*pluginConfig)
}

type pluginOption func(*pluginConfig)

func (f pluginOption) apply(c *config)             { f(c.plugins[0]) }
func (f pluginOption) applyPlugin(p *pluginConfig) { f(p) }

// pluginConfig is one plugin's PluginConfig, with its VmConfig.
type pluginConfig struct {
	code               []byte
	name               string
	rootID             string
	config             []byte
	vmID               string
	vmConfig           []byte
	env                []string
	policy             FailurePolicy
	backoff            time.Duration
	allowStopIteration bool
	singleton          bool // a service on the main thread alone
	listenerKey        string

	module *wasm.Module
	vm     int // which of a thread's VMs runs it
}

func newPluginConfig(code []byte) *pluginConfig {
	return &pluginConfig{code: code, name: "plugin", backoff: time.Second}
}

func (p *pluginConfig) with(opts []PluginOption) *pluginConfig {
	for _, o := range opts {
		if o != nil {
			o.applyPlugin(p)
		}
	}
	return p
}

// sharesVM reports whether one VM runs both plugins (makeVmKey).
func (p *pluginConfig) sharesVM(other *pluginConfig, profile Profile) bool {
	return p.module == other.module && p.vmID == other.vmID && bytes.Equal(p.vmConfig, other.vmConfig) &&
		(profile == Envoy136 || slices.Equal(p.env, other.env))
}

// Plugin adds a plugin to the filter chain, behind those before it: requests get to it after them, responses before
// them. It has its own module, configuration and failure policy. Plugins with the same module, VMID and VMConfig run in
// one VM on each thread, as in Envoy, and those with the same VMID share data and queues. Give each a PluginName: it
// is in the log.
func Plugin(code []byte, opts ...PluginOption) Option {
	return optionFunc(func(c *config) { c.plugins = append(c.plugins, newPluginConfig(code).with(opts)) })
}

// Service adds a Wasm service (the bootstrap extension envoy.bootstrap.wasm): a plugin with ticks, callouts and queues
// but without requests, on the main thread and on each worker.
func Service(code []byte, opts ...PluginOption) Option { return service(false, code, opts) }

// SingletonService adds a Wasm service with "singleton: true": it runs on the main thread alone.
func SingletonService(code []byte, opts ...PluginOption) Option { return service(true, code, opts) }

func service(singleton bool, code []byte, opts []PluginOption) Option {
	return optionFunc(func(c *config) {
		p := newPluginConfig(code).with(opts)
		p.singleton = singleton
		c.services = append(c.services, p)
	})
}

// PluginConfig is PluginConfig.configuration as the plugin reads it: JSON, mostly.
func PluginConfig(text string) PluginOption {
	return pluginOption(func(p *pluginConfig) { p.config = []byte(text) })
}

// VMConfig is vm_config.configuration.
func VMConfig(text string) PluginOption {
	return pluginOption(func(p *pluginConfig) { p.vmConfig = []byte(text) })
}

// PluginName is PluginConfig.name; "plugin" if not given.
func PluginName(name string) PluginOption {
	return pluginOption(func(p *pluginConfig) { p.name = name })
}

// RootID is PluginConfig.root_id.
func RootID(id string) PluginOption { return pluginOption(func(p *pluginConfig) { p.rootID = id }) }

// VMID is vm_config.vm_id.
func VMID(id string) PluginOption { return pluginOption(func(p *pluginConfig) { p.vmID = id }) }

// Env is an entry of vm_config.environment_variables; of several with one key, the last counts.
func Env(key, value string) PluginOption {
	return pluginOption(func(p *pluginConfig) {
		p.env = slices.DeleteFunc(p.env, func(e string) bool { return strings.HasPrefix(e, key+"=") })
		p.env = append(p.env, key+"="+value)
		slices.Sort(p.env)
	})
}

// ReloadBackoff is reload_config.backoff.base_interval, 1 s by default. Envoy adds a random part of up to half of it.
func ReloadBackoff(d time.Duration) PluginOption {
	return pluginOption(func(p *pluginConfig) { p.backoff = d })
}

// AllowOnHeadersStopIteration is allow_on_headers_stop_iteration: without it, pausing
// in a headers callback stops the body too.
func AllowOnHeadersStopIteration(allow bool) PluginOption {
	return pluginOption(func(p *pluginConfig) { p.allowStopIteration = allow })
}

// FailurePolicy is how Envoy answers requests when the plugin's VM is dead (PluginConfig.failure_policy). It is a
// PluginOption.
type FailurePolicy int

const (
	// FailClosed answers 503 for ever. It is Envoy's default.
	FailClosed FailurePolicy = iota
	// FailOpen answers 503 to the request on which the VM dies, and leaves the plugin out of the chain from then on.
	FailOpen
	// FailReload is FailClosed until the next request after the backoff, which gets a new VM. Ticks stay dead until then.
	FailReload
)

func (p FailurePolicy) apply(c *config)                  { c.plugins[0].policy = p }
func (p FailurePolicy) applyPlugin(config *pluginConfig) { config.policy = p }

package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/wasm"

// Profile is the Envoy release whose WASI a plugin meets. It is also an Option.
//
// What changed between the two is proxy-wasm-cpp-host#533: before it, Envoy linked 18 WASI functions, answered
// poll_oneoff with ENOSYS (on which a Go program throws) and forbade more of them while a VM starts. And #500: before
// it, Envoy did not call the __main_void of a reactor; of the releases between, 1.37 and 1.38 do not, 1.39 does.
type Profile int

const (
	// Envoy140 is Envoy 1.40 (proxy-wasm-cpp-host at and after #533). The default.
	Envoy140 Profile = iota
	// Envoy136 is Envoy 1.36 (proxy-wasm-cpp-host between #427 and #533).
	Envoy136
)

var profiles = [...]*wasm.Profile{Envoy140: wasm.Envoy140, Envoy136: wasm.Envoy136}

// String is the profile's name as the command line spells it.
func (p Profile) String() string { return profiles[p].Name }

// ParseProfile reads "envoy-1.36" or "envoy-1.40".
func ParseProfile(name string) (Profile, bool) {
	for p := range profiles {
		if profiles[p].Name == name {
			return Profile(p), true
		}
	}
	return 0, false
}

func (p Profile) apply(c *config) { c.profile = p }

package hostsim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// abiVersion is the ABI that a module was built for: the name of a function that it exports.
type abiVersion string

const (
	abi010 abiVersion = "proxy_abi_version_0_1_0"
	abi020 abiVersion = "proxy_abi_version_0_2_0"
	abi021 abiVersion = "proxy_abi_version_0_2_1"
)

// prepare checks a module as Envoy does before it starts a VM, in the same order
// (WasmBase::load, V8::link, WasmBase::getFunctions).
func prepare(m *wasm.Module, own []wasm.Func) error {
	exports := m.Exports()
	abi, err := abiOf(exports)
	if err != nil {
		return err
	}
	if err := m.Link(append(own, hostCalls(abi)...)); err != nil {
		return err
	}
	return checkExports(exports)
}

func abiOf(exports map[string]api.FunctionDefinition) (abiVersion, error) {
	switch {
	case exports[string(abi010)] != nil:
		return "", errors.New("the module is built for Proxy-Wasm ABI 0.1.0; hostsim runs 0.2.0 and 0.2.1")
	case exports[string(abi020)] != nil:
		return abi020, nil
	case exports[string(abi021)] != nil:
		return abi021, nil
	}
	return "", errors.New("missing or unknown Proxy-Wasm ABI version: " +
		"the module exports neither proxy_abi_version_0_2_0 nor proxy_abi_version_0_2_1")
}

func checkExports(exports map[string]api.FunctionDefinition) error {
	if err := checkExportTypes(exports); err != nil {
		return err
	}
	if exports["malloc"] == nil && exports["proxy_on_memory_allocate"] == nil {
		return errors.New("the module is missing the malloc function: it exports neither malloc nor proxy_on_memory_allocate")
	}
	return checkKind(exports)
}

// checkKind refuses a plugin that has callbacks for connections but not for HTTP streams, since hostsim runs HTTP
// filters. SDKs commonly export both kinds.
func checkKind(exports map[string]api.FunctionDefinition) error {
	network := ""
	for name := range exports {
		switch {
		case strings.HasPrefix(name, "proxy_on_request_"), strings.HasPrefix(name, "proxy_on_response_"):
			return nil
		case name == "proxy_on_new_connection", name == "proxy_on_downstream_data", name == "proxy_on_upstream_data":
			network = name
		}
	}
	if network != "" {
		return fmt.Errorf("the module is a network filter (it exports %s and no callback for HTTP streams): "+
			"hostsim runs HTTP filters only", network)
	}
	return nil
}

package hostsim

import (
	"bytes"
	"compress/zlib"
	"io"
)

// ForeignFunc is a function of the host that plugins call by name
// (proxy_call_foreign_function). An error becomes the status BadArgument.
type ForeignFunc func(arguments []byte) (result []byte, err error)

// ForeignFunction registers a function, instead of Envoy's if Envoy has one of that name. hostsim has Envoy's functions
// (source/extensions/common/wasm/foreign.cc): compress and uncompress (zlib), clear_route_cache,
// set_envoy_filter_state, declare_property, verify_signature and sign, which Envoy 1.36 lacks; and, with an
// ExpressionCompiler, the functions for CEL expressions.
func ForeignFunction(name string, f ForeignFunc) Option {
	return optionFunc(func(c *config) { c.foreign[name] = f })
}

// maxForeignResult limits the size of what uncompress returns, in bytes.
const maxForeignResult = 64 << 20

// proxyCallForeignFunction writes an empty result if the function returns nothing.
func proxyCallForeignFunction(v *vm, a []uint64) status {
	name := v.text(a[0], a[1])
	args := v.text(a[2], a[3])
	result, st := v.foreign(name, []byte(args))
	var ptr uint64
	if len(result) > 0 && uint32(a[4]) != 0 {
		p, b, ok := v.alloc(len(result))
		if !ok {
			return statusInvalidMemoryAccess
		}
		copy(b, result)
		ptr = p
	}
	if uint32(a[4]) != 0 && st != statusNotFound && !v.Write32(a[4], uint32(ptr)) {
		return statusInvalidMemoryAccess
	}
	if uint32(a[5]) != 0 && st != statusNotFound && !v.Write32(a[5], uint32(len(result))) {
		return statusInvalidMemoryAccess
	}
	return st
}

func (v *vm) foreign(name string, args []byte) ([]byte, status) {
	if f := v.host.cfg.foreign[name]; f != nil {
		result, err := f(args)
		if err != nil {
			return nil, statusBadArgument
		}
		return result, statusOK
	}
	switch name {
	case "compress":
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		_, _ = w.Write(args) // a buffer takes everything
		_ = w.Close()
		return b.Bytes(), statusOK
	case "uncompress":
		r, err := zlib.NewReader(bytes.NewReader(args))
		if err != nil {
			return nil, statusSerializationFailure
		}
		b, err := io.ReadAll(io.LimitReader(r, maxForeignResult))
		if err != nil {
			return nil, statusSerializationFailure
		}
		return b, statusOK
	case "clear_route_cache":
		return nil, statusOK
	case "set_envoy_filter_state":
		return nil, v.setEnvoyFilterState(args)
	case "declare_property":
		return nil, v.declareProperty(args)
	case "expr_create", "expr_evaluate", "expr_delete":
		return v.foreignExpression(name, string(args))
	case "verify_signature":
		return v.verifySignature(args)
	case "sign":
		if v.host.cfg.profile != Envoy136 { // which lacks it
			return sign(args)
		}
	}
	return nil, statusNotFound
}

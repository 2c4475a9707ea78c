// Package cel lets plugins on hostsim evaluate expressions of the Common Expression Language, as Envoy does: it makes
// the foreign functions expr_create, expr_evaluate and expr_delete work.
//
//	host, err := hostsim.New(wasm, cel.Option())
package cel

import (
	"encoding/binary"
	"fmt"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/healthgate/healthgate/hostsim"
)

// Option gives a host the Common Expression Language.
func Option() hostsim.Option { return hostsim.ExpressionCompiler(Compile) }

// Compile parses an expression. Of all names, only those of functions are checked before it is evaluated, as in Envoy.
func Compile(text string) (hostsim.Expression, error) {
	env, err := cel.NewEnv()
	if err != nil {
		return nil, err
	}
	ast, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	calls := celast.MatchDescendants(celast.NavigateAST(ast.NativeRep()), celast.KindMatcher(celast.CallKind))
	for _, call := range calls {
		if name := call.AsCall().FunctionName(); !env.HasFunction(name) {
			return nil, fmt.Errorf("%w: no function %q", hostsim.ErrNotCompiled, name)
		}
	}
	program, err := env.Program(ast)
	if err != nil {
		return nil, err
	}
	return expression{program}, nil
}

type expression struct{ program cel.Program }

// Evaluate implements hostsim.Expression.
func (e expression) Evaluate(of hostsim.Attributes) (any, error) {
	value, _, err := e.program.Eval(activation{of})
	if err != nil {
		return nil, err
	}
	return native(value), nil
}

// activation resolves the names of an expression.
type activation struct{ hostsim.Attributes }

// ResolveName implements cel.Activation.
func (a activation) ResolveName(name string) (any, bool) {
	value, found := a.Get(name)
	return wrap(value), found
}

// Parent implements cel.Activation.
func (activation) Parent() cel.Activation { return nil }

// wrap makes attributes a value of the language; all other values are.
func wrap(value any) any {
	if a, ok := value.(hostsim.Attributes); ok {
		return newObject(a)
	}
	return value
}

// native is a value as hostsim takes it. What hostsim does not know, such as a type, is left for it to refuse.
func native(value ref.Val) any {
	switch v := value.(type) {
	case object:
		return v.attributes
	case types.Null:
		return nil
	case types.Bytes:
		return string(v)
	case types.Timestamp:
		return v.Time
	case types.Duration:
		return v.Duration
	case *types.Type:
		return v
	case traits.Mapper:
		out := make(map[string]any)
		for i := v.Iterator(); i.HasNext() == types.True; {
			key := i.Next()
			out[keyBytes(key)] = native(v.Get(key))
		}
		return out
	case traits.Lister:
		out := []any{}
		for i := v.Iterator(); i.HasNext() == types.True; {
			out = append(out, native(i.Next()))
		}
		return out
	}
	return value.Value()
}

// keyBytes is a map's key as Envoy serializes it.
func keyBytes(key ref.Val) string {
	switch k := key.Value().(type) {
	case int64:
		return string(binary.LittleEndian.AppendUint64(nil, uint64(k)))
	case uint64:
		return string(binary.LittleEndian.AppendUint64(nil, k))
	case bool:
		if k {
			return "\x01"
		}
		return "\x00"
	}
	return fmt.Sprint(key.Value())
}

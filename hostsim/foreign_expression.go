package hostsim

import (
	"encoding/binary"
	"errors"
)

// Expression is a compiled expression of the Common Expression Language.
type Expression interface {
	// Evaluate returns the expression's value: a string, bool, int64, uint64, float64, time.Time, time.Duration,
	// map[string]any, []any, or one of the Attributes that it was given; nil is null.
	Evaluate(of Attributes) (any, error)
}

// Attributes are Envoy's attributes of a stream, or those inside an attribute such as request or request.headers.
// Values have the types that Expression lists.
type Attributes interface {
	Get(name string) (value any, found bool)
	// Names returns the names of all values, or nil if they are not known in advance.
	Names() []string
}

// ErrNotCompiled is the error for an expression that can be parsed and cannot be compiled.
var ErrNotCompiled = errors.New("the expression cannot be compiled")

// ExpressionCompiler makes the foreign functions expr_create, expr_evaluate and expr_delete work; without one they are
// NotFound. Package hostsim/cel has one. It is not built in, for it brings an interpreter that few plugins need.
func ExpressionCompiler(compile func(text string) (Expression, error)) Option {
	return optionFunc(func(c *config) { c.compile = compile })
}

// expressions holds the compiled expressions of a root context by the token that the plugin got.
type expressions struct {
	next    uint32
	byToken map[uint32]Expression
}

// foreignExpression calls one of the three functions of Envoy's ExpressionFactory
// (source/extensions/common/wasm/foreign.cc).
func (v *vm) foreignExpression(name, args string) ([]byte, status) {
	compile := v.host.cfg.compile
	if compile == nil {
		return nil, statusNotFound
	}
	e := &v.current.root.expressions
	if name == "expr_create" {
		program, err := compile(args)
		if err != nil {
			if errors.Is(err, ErrNotCompiled) {
				e.next++ // Envoy takes the token before it compiles
			}
			return nil, statusBadArgument
		}
		token := e.next
		e.next++
		e.byToken[token] = program
		return binary.LittleEndian.AppendUint32(nil, token), statusOK
	}
	if len(args) != 4 {
		return nil, statusBadArgument
	}
	token := binary.LittleEndian.Uint32([]byte(args))
	if name == "expr_delete" {
		delete(e.byToken, token)
		return nil, statusOK
	}
	program := e.byToken[token]
	if program == nil {
		return nil, statusNotFound
	}
	value, err := program.Evaluate(attributes{lookup(v.current.attribute)})
	if err != nil {
		return nil, statusInternalFailure
	}
	if a, ok := value.(attributes); ok {
		value = a.value
	}
	text, st := serialize(value)
	return []byte(text), st
}

// attributes shows a value with fields to an expression.
type attributes struct{ value any }

// Get implements Attributes.
func (a attributes) Get(name string) (any, bool) {
	value, ok := field(a.value, name)
	switch value.(type) {
	case lookup, headerMap, message:
		value = attributes{value}
	}
	return value, ok
}

// Names implements Attributes.
func (a attributes) Names() []string {
	var names []string
	switch v := a.value.(type) {
	case headerMap:
		seen := make(map[string]bool)
		for _, f := range v.m.Fields() {
			if !seen[f.Name] {
				seen[f.Name] = true
				names = append(names, f.Name)
			}
		}
	case message:
		for name := range v.fields {
			names = append(names, name)
		}
	}
	return names
}

package cel

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/healthgate/healthgate/hostsim"
)

// object is a map whose values are looked up one by one.
type object struct {
	traits.Mapper // of the names that are known: to count them and to go through them
	attributes    hostsim.Attributes
}

func newObject(a hostsim.Attributes) object {
	names := make(map[string]string)
	for _, name := range a.Names() {
		names[name] = ""
	}
	return object{types.NewStringStringMap(types.DefaultTypeAdapter, names), a}
}

// Find implements traits.Mapper.
func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	value, found := o.attributes.Get(string(name))
	if !found {
		return nil, false
	}
	return types.DefaultTypeAdapter.NativeToValue(wrap(value)), true
}

// Get implements traits.Indexer.
func (o object) Get(key ref.Val) ref.Val {
	value, found := o.Find(key)
	if !found && value == nil {
		return types.NewErr("no such key: %v", key.Value())
	}
	return value
}

// Contains implements traits.Container.
func (o object) Contains(key ref.Val) ref.Val {
	_, found := o.Find(key)
	return types.Bool(found)
}

// Value implements ref.Val.
func (o object) Value() any { return o.attributes }

package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Error is a refused configuration: the place of the mistake in the JSON document, and what is wrong there.
type Error struct{ Place, What string }

func (e *Error) Error() string {
	if e.Place == "" {
		return e.What
	}
	return e.Place + ": " + e.What
}

// decoder keeps the first mistake. Once there is one, every method returns a zero value, so that the readers of the
// configuration need no error handling of their own.
type decoder struct{ err *Error }

func (d *decoder) fail(place, what string) {
	if d.err == nil {
		d.err = &Error{place, what}
	}
}

func quote(s string) string { return strconv.Quote(s) }

func index(place string, i int) string { return place + "[" + strconv.Itoa(i) + "]" }

// object is one JSON object that is read field by field; done refuses what is left over.
type object struct {
	d      *decoder
	place  string
	fields map[string]*fastjson.Value
}

func (d *decoder) object(v *fastjson.Value, place string) *object {
	o := &object{d: d, place: place, fields: map[string]*fastjson.Value{}}
	if d.err != nil {
		return o
	}
	if v.Type() != fastjson.TypeObject {
		d.fail(place, "is "+typeName(v)+", must be an object")
		return o
	}
	v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		name := string(key)
		if _, twice := o.fields[name]; twice {
			d.fail(o.at(name), "is given twice")
		}
		o.fields[name] = v
	})
	return o
}

func (o *object) at(name string) string {
	if o.place == "" {
		return name
	}
	return o.place + "." + name
}

// take returns the field and marks it as read; nil when it is not there. JSON null counts as not there, as in
// protobuf's JSON mapping.
func (o *object) take(name string) *fastjson.Value {
	v := o.fields[name]
	delete(o.fields, name)
	if o.d.err != nil || v == nil || v.Type() == fastjson.TypeNull {
		return nil
	}
	return v
}

// has reports whether the field is there, and forgets one that is null.
func (o *object) has(name string) bool {
	v := o.fields[name]
	if v != nil && v.Type() == fastjson.TypeNull {
		delete(o.fields, name)
		return false
	}
	return v != nil
}

// need is take for a field that must be there.
func (o *object) need(name string) *fastjson.Value {
	v := o.take(name)
	if v == nil {
		o.d.fail(o.at(name), "is required")
	}
	return v
}

// done refuses the fields nobody took.
func (o *object) done() {
	if len(o.fields) > 0 {
		o.d.fail(o.at(o.first()), "unknown field")
	}
}

// first returns the alphabetically first field nobody took, so that messages are the same on every run.
func (o *object) first() string {
	first := ""
	for name := range o.fields {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

func (d *decoder) str(v *fastjson.Value, place string) string {
	if d.err != nil {
		return ""
	}
	if v.Type() != fastjson.TypeString {
		d.fail(place, "is "+typeName(v)+", must be a string")
		return ""
	}
	return string(v.GetStringBytes())
}

func (o *object) str(name, otherwise string) string {
	if v := o.take(name); v != nil {
		return o.d.str(v, o.at(name))
	}
	return otherwise
}

func (o *object) needStr(name string) string {
	v := o.need(name)
	if v == nil {
		return ""
	}
	s := o.d.str(v, o.at(name))
	if s == "" {
		o.d.fail(o.at(name), "must not be empty")
	}
	return s
}

func (o *object) boolean(name string) bool {
	v := o.take(name)
	if v == nil {
		return false
	}
	b, err := v.Bool()
	if err != nil {
		o.d.fail(o.at(name), "is "+typeName(v)+", must be true or false")
	}
	return b
}

func (d *decoder) integer(v *fastjson.Value, place string, low, high uint32) uint32 {
	if d.err != nil {
		return 0
	}
	if v.Type() != fastjson.TypeNumber {
		d.fail(place, "is "+typeName(v)+", must be a number")
		return 0
	}
	f := v.GetFloat64()
	if !(f >= float64(low) && f <= float64(high)) || f != float64(uint32(f)) {
		d.fail(place, v.String()+" is not a whole number from "+strconv.Itoa(int(low))+" to "+strconv.Itoa(int(high)))
		return 0
	}
	return uint32(f)
}

func (o *object) integer(name string, low, high, otherwise uint32) uint32 {
	if v := o.take(name); v != nil {
		return o.d.integer(v, o.at(name), low, high)
	}
	return otherwise
}

func (o *object) duration(name string, low, high, otherwise time.Duration) time.Duration {
	v := o.take(name)
	if v == nil {
		return otherwise
	}
	s := o.d.str(v, o.at(name))
	if o.d.err != nil {
		return 0
	}
	t, err := time.ParseDuration(s)
	if err != nil {
		o.d.fail(o.at(name), quote(s)+` is not a duration such as "500ms", "1s" or "1.5m"`)
		return 0
	}
	if t < low || t > high {
		o.d.fail(o.at(name), quote(s)+" is not between "+low.String()+" and "+high.String())
	}
	return t
}

// list calls each for every element of an array field. It returns how many there were; a missing field has none.
func (o *object) list(name string, each func(v *fastjson.Value, place string)) int {
	place := o.at(name)
	return o.each(name, func(v *fastjson.Value, i int) { each(v, index(place, i)) })
}

// each is list for one that may be very long, where naming every item's place would cost more than to read it.
func (o *object) each(name string, each func(v *fastjson.Value, i int)) int {
	v := o.take(name)
	if v == nil {
		return 0
	}
	if v.Type() != fastjson.TypeArray {
		o.d.fail(o.at(name), "is "+typeName(v)+", must be an array")
		return 0
	}
	items := v.GetArray()
	for i, item := range items {
		if o.d.err != nil {
			break
		}
		each(item, i)
	}
	return len(items)
}

// strings reads an array of strings in which none is empty and none stands twice.
func (o *object) strings(name string, check func(s, place string)) []string {
	var out []string
	seen := map[string]bool{}
	o.list(name, func(v *fastjson.Value, place string) {
		s := o.d.str(v, place)
		switch {
		case s == "":
			o.d.fail(place, "must not be empty")
		case seen[s]:
			o.d.fail(place, quote(s)+" stands here twice")
		default:
			check(s, place)
		}
		seen[s] = true
		out = append(out, s)
	})
	return out
}

// oneOf reads a string that must be one of the choices; the first is the default.
func (o *object) oneOf(name string, choices ...string) string {
	s := o.str(name, choices[0])
	for _, c := range choices {
		if s == c {
			return s
		}
	}
	o.d.fail(o.at(name), quote(s)+" is not one of "+strings.Join(choices, ", "))
	return choices[0]
}

func typeName(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeObject:
		return "an object"
	case fastjson.TypeArray:
		return "an array"
	case fastjson.TypeString:
		return "a string"
	case fastjson.TypeNumber:
		return "a number"
	case fastjson.TypeNull:
		return "null"
	default:
		return "a boolean"
	}
}

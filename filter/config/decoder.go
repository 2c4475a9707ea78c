package config

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lean/json"
	"github.com/healthgate/healthgate/filter/lean/texts"
)

// Error is a mistake in a configuration: its place in the JSON document, and what is wrong there.
type Error struct {
	Place, What string
	Kind        Kind
}

// Kind is what a mistake is about.
type Kind uint8

// The kinds of mistakes.
const (
	Field    Kind = iota // one field by itself: there or not, its type, its spelling, a number's range
	Relation             // several parts of a configuration, an amount of time or bytes, or the arithmetic of networks
)

func (e *Error) Error() string {
	if e.Place == "" {
		return e.What
	}
	return e.Place + ": " + e.What
}

// decoder keeps the mistakes. A method that finds one returns a zero value, so that the readers of the configuration
// need no error handling of their own, and find the next.
type decoder struct{ errs []Error }

// MaxMistakes bounds the mistakes that are kept.
const MaxMistakes = 100

// fail records a mistake. An empty what is no mistake. A second mistake at the same place is dropped: it follows from
// the first.
func (d *decoder) fail(place, what string) { d.failAs(Field, place, what) }

func (d *decoder) failAs(kind Kind, place, what string) {
	n := len(d.errs)
	if what != "" && n < MaxMistakes && (n == 0 || d.errs[n-1].Place != place) {
		d.errs = append(d.errs, Error{place, what, kind})
	}
}

// maxQuoted bounds what a message quotes of the configuration, in bytes.
const maxQuoted = 100

func quote(s string) string { return ascii.Quote(ascii.Shorten(s, maxQuoted)) }

func index(place string, i int) string { return place + "[" + strconv.Itoa(i) + "]" }

// object is one JSON object that is read field by field; done refuses what is left over.
type object struct {
	d     *decoder
	place string
	left  []member // which nobody took so far, by name: a Struct has its fields in another order on every run
}

type member struct {
	name  string
	value json.Value
}

func (d *decoder) object(v json.Value, place string) *object {
	o := &object{d: d, place: place}
	if !d.is(v, place, json.Object) {
		return o
	}
	for w := v.Walk(); w.Next(); {
		text, _ := w.Name.Text() // a name that is not Unicode is unknown anyway
		name := strings.Clone(text)
		if o.find(name) >= 0 {
			o.relates(name, "is given twice")
			continue
		}
		if len(o.left) == MaxFields {
			d.fail(place, "has more than "+strconv.Itoa(MaxFields)+" fields")
			break
		}
		i := len(o.left)
		o.left = append(o.left, member{})
		for ; i > 0 && name < o.left[i-1].name; i-- {
			o.left[i] = o.left[i-1]
		}
		o.left[i] = member{name, w.Value}
	}
	return o
}

// is reports whether a value is of a kind, and refuses it if it is not.
func (d *decoder) is(v json.Value, place string, kind json.Kind) bool {
	if v.Kind() == kind {
		return true
	}
	must := kind.String()
	if kind == json.Bool {
		must = "true or false"
	}
	d.fail(place, "is "+v.Kind().String()+", must be "+must)
	return false
}

// find returns the index of a field that was not read yet, or -1.
func (o *object) find(name string) int {
	for i := range o.left {
		if o.left[i].name == name {
			return i
		}
	}
	return -1
}

func (o *object) at(name string) string {
	if o.place == "" {
		return ascii.Shorten(name, maxQuoted)
	}
	return o.place + "." + ascii.Shorten(name, maxQuoted)
}

// fail records a mistake in a field.
func (o *object) fail(name, what string) {
	if what != "" {
		o.d.fail(o.at(name), what)
	}
}

// relates records a mistake in a field that is one only beside another.
func (o *object) relates(name, what string) { o.d.failAs(Relation, o.at(name), what) }

// take returns the field and marks it as read; absent when it is not there. JSON null counts as not there, as in
// protobuf's JSON mapping.
func (o *object) take(name string) json.Value {
	i := o.find(name)
	if i < 0 {
		return ""
	}
	v := o.left[i].value
	o.left = append(o.left[:i], o.left[i+1:]...)
	if v.Kind() == json.Null {
		return ""
	}
	return v
}

// kind returns the JSON type of a field that was not read yet. A null field is dropped, and counts as absent.
func (o *object) kind(name string) json.Kind {
	i := o.find(name)
	if i < 0 {
		return json.Absent
	}
	if o.left[i].value.Kind() == json.Null {
		o.take(name)
		return json.Absent
	}
	return o.left[i].value.Kind()
}

// has reports whether a field is there; a null field is dropped, and is not.
func (o *object) has(name string) bool { return o.kind(name) != json.Absent }

// need is take for a field that must be there.
func (o *object) need(name string) json.Value {
	o.needs(name)
	return o.take(name)
}

// needs refuses an object without a field.
func (o *object) needs(name string) {
	if !o.has(name) {
		o.fail(name, "is required")
	}
}

// sub reads a field that is an object; nil if it is not there.
func (o *object) sub(name string) *object {
	v := o.take(name)
	if v == "" {
		return nil
	}
	return o.d.object(v, o.at(name))
}

// done refuses the fields nobody took.
func (o *object) done() { o.refuseRest("unknown field") }

// refuseRest refuses the fields nobody took.
func (o *object) refuseRest(what string) {
	for _, m := range o.left {
		o.fail(m.name, what)
	}
	o.left = nil
}

// refuse refuses those of the fields that are there; their names have blanks between them.
func (o *object) refuse(fields, what string) {
	for more := true; more; {
		var name string
		if name, fields, more = ascii.Cut(fields, " "); o.take(name) != "" {
			o.fail(name, what)
		}
	}
}

// str returns a copy of a string, so that the configuration does not keep its text in memory.
func (d *decoder) str(v json.Value, place string) string {
	if !d.is(v, place, json.String) {
		return ""
	}
	text, valid := v.Text()
	if !valid {
		d.failAs(Relation, place, "has bytes or escapes that are no Unicode characters")
	}
	return strings.Clone(text)
}

func (o *object) str(name, otherwise string) string {
	if v := o.take(name); v != "" {
		return o.d.str(v, o.at(name))
	}
	return otherwise
}

func (o *object) needStr(name string) string {
	v := o.need(name)
	if v == "" {
		return ""
	}
	s := o.d.str(v, o.at(name))
	if s == "" {
		o.fail(name, "must not be empty")
	}
	return s
}

func (o *object) boolean(name string) bool {
	v := o.take(name)
	return v != "" && o.d.is(v, o.at(name), json.Bool) && v.IsTrue()
}

func (o *object) integer(name string, low, high, otherwise uint32) uint32 {
	v := o.take(name)
	if v == "" {
		return otherwise
	}
	if !o.d.is(v, o.at(name), json.Number) {
		return 0
	}
	n, ok := v.Whole()
	if !ok || n < low || n > high {
		o.fail(name, ascii.Shorten(string(v), maxQuoted)+
			" is not a whole number from "+strconv.Itoa(int(low))+" to "+strconv.Itoa(int(high)))
		return 0
	}
	return n
}

func (o *object) duration(name string, low, high, otherwise duration.Duration) duration.Duration {
	v := o.take(name)
	if v == "" {
		return otherwise
	}
	s := string(v) // a number lacks its unit
	if v.Kind() != json.Number {
		s = o.d.str(v, o.at(name))
	}
	t, ok := duration.Parse(s)
	if !ok {
		o.fail(name, quote(s)+` is not a duration such as "500ms", "1s" or "1.5m"`)
		return 0
	}
	if t < low || t > high {
		o.relates(name, quote(s)+" is not between "+duration.Text(low)+" and "+duration.Text(high))
	}
	return t
}

// choose reads a string that is one of two, and reports whether it is the less usual one.
func (o *object) choose(name, usual, other string) bool {
	s := o.str(name, usual)
	if s != usual && s != other {
		o.fail(name, quote(s)+" is not one of "+usual+", "+other)
	}
	return s == other
}

// list goes over the items of an array.
//
//	for l := o.list("probes"); l.next(); {
//		read(l.value, l.place())
//	}
type list struct {
	d      *decoder
	array  string // its place
	walk   json.Walk
	value  json.Value
	number int // of items so far
}

// list starts before the first item; a missing field has none.
func (o *object) list(name string) list {
	l := list{d: o.d, array: o.at(name)}
	if v := o.take(name); v != "" && o.d.is(v, l.array, json.Array) {
		l.walk = v.Walk()
	}
	return l
}

func (l *list) next() bool {
	if !l.walk.Next() {
		return false
	}
	l.value = l.walk.Value
	l.number++
	return true
}

// place names the current item. Lists may be long, so it is made only for those that need it.
func (l *list) place() string { return index(l.array, l.number-1) }

// str is decoder.str of the current item.
func (l *list) str() string {
	text, valid := l.value.Text()
	if !valid {
		return l.d.str(l.value, l.place()) // says what is wrong
	}
	return strings.Clone(text)
}

// strings reads an array of strings; it refuses empty and repeated ones. check may find something wrong with
// one.
func (o *object) strings(name string, check func(s string) (wrong string)) []string {
	var out []string
	var seen texts.List
	for l := o.list(name); l.next(); {
		s, wrong := l.str(), ""
		_, isNew := seen.Add(s)
		switch {
		case s == "":
			wrong = "must not be empty"
		case !isNew:
			wrong = quote(s) + " stands here twice"
		default:
			wrong = check(s)
		}
		if wrong != "" {
			o.d.fail(l.place(), wrong)
		}
		out = append(out, s)
	}
	return out
}

// Package headers holds header maps with the semantics of Envoy's HeaderMapImpl: names are lower case, order is kept,
// pseudo headers come first, and a few well-known headers ("inline" in Envoy) exist at most once.
package headers

import (
	"slices"
	"strings"
)

// Field is one header or trailer. Names are lower case.
type Field struct {
	Name, Value string
}

// Map is an ordered header map. The zero value is empty and ready to use. It is
// not safe for concurrent use: like Envoy's, it belongs to one thread.
type Map struct {
	fields []Field
}

// room is for the fields that Envoy adds to a message.
const room = 6

// New returns a map that holds fields, added one by one as Add does.
func New(fields ...Field) *Map {
	m := &Map{fields: make([]Field, 0, len(fields)+room)}
	for _, f := range fields {
		m.Add(f.Name, f.Value)
	}
	return m
}

// Of returns a map of fields, each a name and then its value.
func Of(fields ...string) *Map {
	m := &Map{fields: make([]Field, 0, len(fields)/2+room)}
	for i := 0; i < len(fields); i += 2 {
		m.Add(fields[i], fields[i+1])
	}
	return m
}

// Len is the number of fields. A nil map is empty.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.fields)
}

// Fields returns the fields in order. The slice belongs to the map.
func (m *Map) Fields() []Field {
	if m == nil {
		return nil
	}
	return m.fields
}

// Get returns the first value of name and whether there is one. An empty value counts as present.
func (m *Map) Get(name string) (string, bool) {
	if m == nil {
		return "", false
	}
	if i := m.index(m.key(name)); i >= 0 {
		return m.fields[i].Value, true
	}
	return "", false
}

// index is where the first field of a name is, -1 if there is none.
func (m *Map) index(name string) int {
	return slices.IndexFunc(m.fields, func(f Field) bool { return f.Name == name })
}

// Value is Get without the presence flag.
func (m *Map) Value(name string) string {
	v, _ := m.Get(name)
	return v
}

// Values returns all values of name in order.
func (m *Map) Values(name string) []string {
	name = m.key(name)
	var vs []string
	for _, f := range m.Fields() {
		if f.Name == name {
			vs = append(vs, f.Value)
		}
	}
	return vs
}

// Add appends a field (HeaderMapImpl::addCopy). A second value of an inline header is joined to the first with a comma
// instead. A pseudo header goes behind the other pseudo headers, before the first ordinary one.
func (m *Map) Add(name, value string) {
	name = m.key(name)
	if inline[name] {
		if i := m.index(name); i >= 0 {
			m.fields[i].Value = join(name, m.fields[i].Value, value)
			return
		}
	}
	m.insert(Field{name, value})
}

// Set removes every value of name and adds value, behind the rest (HeaderMapImpl::setCopy).
func (m *Map) Set(name, value string) {
	name = m.key(name)
	m.Remove(name)
	m.insert(Field{name, value})
}

// Overwrite gives an inline header its value, in its place if it is there (HeaderMapImpl::setServer and its like).
func (m *Map) Overwrite(name, value string) {
	if i := m.index(name); i >= 0 {
		m.fields[i].Value = value
		return
	}
	m.insert(Field{name, value})
}

// Remove deletes every value of name.
func (m *Map) Remove(name string) {
	name = m.key(name)
	m.fields = slices.DeleteFunc(m.fields, func(f Field) bool { return f.Name == name })
}

// Replace swaps the whole content for fields.
func (m *Map) Replace(fields []Field) {
	m.fields = nil
	for _, f := range fields {
		m.Add(f.Name, f.Value)
	}
}

// ByteSize is the sum of the lengths of all names and values (HeaderMapImpl::byteSize).
func (m *Map) ByteSize() int {
	n := 0
	for _, f := range m.Fields() {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// Clone returns an independent copy; the copy of nil is nil.
func (m *Map) Clone() *Map {
	if m == nil {
		return nil
	}
	return &Map{fields: slices.Clone(m.fields)}
}

// key returns a name as the map stores it. In a request of Envoy's, host and :authority are two names of one header.
func (m *Map) key(name string) string {
	name = lower(name)
	if name != "host" {
		return name
	}
	if len(m.fields) > 0 && strings.HasPrefix(m.fields[0].Name, ":") && m.fields[0].Name != ":status" {
		return ":authority"
	}
	return name
}

func (m *Map) insert(f Field) {
	if !strings.HasPrefix(f.Name, ":") {
		m.fields = append(m.fields, f)
		return
	}
	at := slices.IndexFunc(m.fields, func(other Field) bool { return !strings.HasPrefix(other.Name, ":") })
	if at < 0 {
		at = len(m.fields)
	}
	m.fields = slices.Insert(m.fields, at, f)
}

func join(name, old, value string) string {
	if old == "" {
		return value
	}
	if value == "" {
		return old
	}
	if name == "cookie" {
		return old + "; " + value
	}
	return old + "," + value
}

// lower is strings.ToLower for ASCII, without allocating when nothing changes.
func lower(s string) string {
	if !strings.ContainsFunc(s, func(c rune) bool { return 'A' <= c && c <= 'Z' }) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// inline are Envoy's O(1) headers (envoy/http/header_map.h, INLINE_*_HEADERS), of requests, responses and trailers
// together: the caller knows which kind of map can carry which header.
var inline = map[string]bool{
	":authority": true, ":method": true, ":path": true, ":protocol": true, ":scheme": true, ":status": true,
	"accept": true, "cache-control": true, "client-trace-id": true, "connection": true,
	"content-length": true, "content-type": true,
	"envoy-protocol": true, "expect": true, "grpc-message": true, "grpc-status": true, "grpc-timeout": true,
	"keep-alive": true, "proxy-connection": true, "proxy-status": true, "server": true, "te": true,
	"date": true, "transfer-encoding": true, "upgrade": true, "user-agent": true, "vary": true, "via": true,
	"x-envoy-attempt-count": true, "x-envoy-degraded": true, "x-envoy-downstream-service-cluster": true,
	"x-envoy-downstream-service-node": true, "x-envoy-expected-rq-timeout-ms": true,
	"x-envoy-external-address": true, "x-envoy-immediate-health-check-fail": true, "x-envoy-internal": true,
	"x-envoy-original-path": true, "x-envoy-overloaded": true, "x-envoy-ratelimited": true,
	"x-envoy-upstream-healthchecked-cluster": true, "x-envoy-upstream-service-time": true,
	"x-forwarded-client-cert": true, "x-forwarded-for": true, "x-forwarded-host": true,
	"x-forwarded-port": true, "x-forwarded-proto": true, "x-request-id": true,
}

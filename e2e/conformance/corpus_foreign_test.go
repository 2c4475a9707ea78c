package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"strings"
)

// field is a field of a protobuf message: bytes, or a number.
func field(num int, value any) string {
	tag := func(wire int) []byte { return binary.AppendUvarint(nil, uint64(num<<3|wire)) }
	switch v := value.(type) {
	case string:
		return string(append(binary.AppendUvarint(tag(2), uint64(len(v))), v...))
	case int:
		return string(binary.AppendUvarint(tag(0), uint64(v)))
	}
	panic(fmt.Sprintf("no field of type %T", value))
}

// foreign is a line that calls a foreign function with a message of these fields.
func foreign(phase, function string, fields ...string) string {
	return fmt.Sprintf("%s call_foreign_function %q %q\n", phase, function, strings.Join(fields, ""))
}

const inRequest = "request_headers"

// evaluate is a script that creates expressions and evaluates each.
func evaluate(expressions ...string) string {
	var b strings.Builder
	for token, text := range expressions {
		b.WriteString(foreign(inRequest, "expr_create", text))
		b.WriteString(foreign(inRequest, "expr_evaluate", string(binary.LittleEndian.AppendUint32(nil, uint32(token)))))
	}
	return b.String()
}

// keyPair is a key in the forms that the functions take, and its signature of signed by SHA-256.
type keyPair struct{ private, public, privatePEM, publicPEM, signature string }

const signed = "some text"

func newKeyPair(key crypto.Signer) keyPair {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	signature := []byte("none")
	if _, none := key.(ed25519.PrivateKey); !none {
		digest := sha256.Sum256([]byte(signed))
		if signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			panic(err)
		}
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return keyPair{string(private), string(public), block("PRIVATE KEY", private), block("PUBLIC KEY", public), string(signature)}
}

var rsaKey, ecKey, edKey = func() (a, b, c keyPair) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return newKeyPair(r), newKeyPair(e), newKeyPair(d)
}()

func verify(fields ...string) string { return foreign(inRequest, "verify_signature", fields...) }

func sign(fields ...string) string { return foreign(inRequest, "sign", fields...) }

// filterStateKeys are what Envoy has an object for, and some more.
var filterStateKeys = []string{"envoy.tcp_proxy.cluster", "envoy.tcp_proxy.disable_tunneling",
	"envoy.tcp_proxy.per_connection_idle_timeout_ms", "envoy.network.upstream_server_name",
	"envoy.network.application_protocols", "envoy.network.upstream_subject_alt_names",
	"envoy.filters.listener.original_dst.local_ip", "envoy.filters.listener.original_dst.remote_ip",
	"envoy.upstream.dynamic_host", "envoy.upstream.dynamic_port", "envoy.string", "envoy.hashable_string", "envoy.network.ip",
	"envoy.network.network_namespace", "envoy.ratelimit.hits_addend", "unknown", "", "wasm.x"}

func filterStateScript() string {
	var b strings.Builder
	for _, key := range filterStateKeys {
		for _, value := range []string{"x", "1.2.3.4:80", "8080", "true"} {
			b.WriteString(foreign(inRequest, "set_envoy_filter_state", field(1, key), field(2, value)))
			b.WriteString(inRequest + ` get_property "filter_state\x00` + key + "\"\n")
		}
	}
	return b.String()
}

var foreignCases = []*Case{
	{Name: "foreign function set filter state", Script: filterStateScript(), Steps: get("/echo")},
	{Name: "foreign function set filter state without a stream", Script: foreign("configure", "set_envoy_filter_state",
		field(1, "envoy.string"), field(2, "x")) + foreign("configure", "set_envoy_filter_state", field(1, "unknown"),
		field(2, "x")) + foreign(inRequest, "set_envoy_filter_state", "\xff\xff"), Steps: get("/echo")},
	{Name: "foreign function declare property", Script: foreign("configure", "declare_property", field(1, "ro"), field(2, 1), field(3, 1)) +
		foreign("configure", "declare_property", field(1, "ro"), field(2, 1)) +
		foreign("configure", "declare_property", field(1, "rw"), field(3, 0)) +
		foreign("configure", "declare_property", field(1, "message"), field(3, 3)) +
		foreign("configure", "declare_property", field(1, "typed"), field(3, 3),
			field(4, "type.googleapis.com/google.protobuf.StringValue")) +
		foreign("configure", "declare_property", field(1, "flat"), field(3, 2)) +
		foreign("configure", "declare_property", field(1, "connection"), field(5, 2)) +
		foreign("configure", "declare_property") + foreign("configure", "declare_property", "\xff") +
		foreign(inRequest, "declare_property", field(1, "late"), field(2, 1)) +
		foreign(inRequest, "declare_property", field(1, "late"), field(2, 1)) + `
		request_headers set_property "ro" "1"
		request_headers set_property "ro" "2"
		request_headers get_property "ro"
		request_headers set_property "rw" "1"
		request_headers set_property "rw" "2"
		request_headers get_property "rw"
		request_headers set_property "late" "1"
		request_headers set_property "late" "2"
		request_headers get_property "late"
		request_headers set_property "message" "\n\x01x"
		request_headers get_property "message"
		request_headers get_property "message\x00value"
		request_headers set_property "typed" "\n\x01x"
		request_headers get_property "typed"
		request_headers get_property "typed\x00value"
		request_headers set_property "typed" "\xff"
		request_headers get_property "typed"
		request_headers set_property "flat" "x"
		request_headers get_property "flat"
		request_headers set_property "connection" "1"
		request_headers get_property "connection"
		request_headers get_property "filter_state\x00wasm.ro"`, Steps: get("/echo")},
	{Name: "foreign function verify signature", Script: verify(field(1, "sha256"), field(2, rsaKey.public), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "SHA256"), field(5, rsaKey.publicPEM), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(2, rsaKey.public), field(5, rsaKey.publicPEM), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(2, rsaKey.public), field(3, rsaKey.signature), field(4, "other")) +
		verify(field(1, "sha512"), field(2, rsaKey.public), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "md5"), field(2, rsaKey.public), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(2, "junk"), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(5, "junk"), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(3, rsaKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(2, ecKey.public), field(3, ecKey.signature), field(4, signed)) +
		verify(field(1, "sha256"), field(2, ecKey.public), field(3, "junk"), field(4, signed)) +
		verify(field(1, "sha256"), field(2, edKey.public), field(3, "junk"), field(4, signed)) + verify("\xff"), Steps: get("/echo")},
	{Name: "foreign function sign", Script: sign(field(1, "sha256"), field(2, rsaKey.private), field(3, signed)) +
		sign(field(1, "sha256"), field(4, rsaKey.privatePEM), field(3, signed)) +
		sign(field(1, "sha1"), field(4, rsaKey.privatePEM), field(3, signed)) +
		sign(field(1, "sha512"), field(4, rsaKey.privatePEM), field(3, signed)) +
		sign(field(1, "sha256"), field(2, rsaKey.private), field(4, rsaKey.privatePEM), field(3, signed)) +
		sign(field(1, "md5"), field(2, rsaKey.private), field(3, signed)) +
		sign(field(1, "sha256"), field(2, "junk"), field(3, signed)) +
		sign(field(1, "sha256"), field(4, "junk"), field(3, signed)) + sign(field(1, "sha256"), field(3, signed)) +
		sign(field(1, "sha256"), field(2, edKey.private), field(3, signed)) + sign("\xff"), Steps: get("/echo")},
	{Name: "foreign function expressions", Script: evaluate("request.path + 'x'", "request.method == 'GET' && request.size == 0",
		"request.headers['user-agent']", "request.headers.nothing", "'nothing' in request.headers", "has(request.headers.nothing)",
		"size('abc') + 1", "1.5 * 2.0", "3u", "b'ab'", "['a', 'b']", "{'a': 'b'}", "{'a': 1}", "[1, true]", "{1: 'a'}", "{true: 2u}", "{2u: [1]}", "[]", "{}", "null", "string",
		"request.nothing", "nothing", "nothing.at_all", "1 + 'a'", "1 / 0", "plugin_name + plugin_vm_id", "request",
		"duration('90s')", "timestamp('2026-01-02T03:04:05Z')", "xds.node.id", "source.address.startsWith('127.0.0.1:')",
		"xds.route_metadata.filter_metadata", "['x'].exists(v, v == 'x')", "request.headers.exists(k, k == ':path')",
		"int('12') > 11 ? 'more' : 'less'", "'abc'.matches('^a.c$')", "xds.node.locality.zone") +
		`request_headers call_foreign_function "expr_create" "1 +"
		request_headers call_foreign_function "expr_create" ""
		request_headers call_foreign_function "expr_create" "unknown_function(1)"
		request_headers call_foreign_function "expr_evaluate" "\xff\x00\x00\x00"
		request_headers call_foreign_function "expr_evaluate" "\x00"
		request_headers call_foreign_function "expr_delete" "\x00"
		request_headers call_foreign_function "expr_delete" "\xff\x00\x00\x00"
		request_headers call_foreign_function "expr_delete" "\x00\x00\x00\x00"
		request_headers call_foreign_function "expr_evaluate" "\x00\x00\x00\x00"
		request_headers call_foreign_function "expr_create" "'again'"
		response_headers call_foreign_function "expr_evaluate" "\x01\x00\x00\x00"`, Steps: get("/echo")},
}

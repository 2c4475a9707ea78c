package hostsim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// pbField is a length-delimited field of a message.
func pbField(num int, value string) string {
	b := binary.AppendUvarint(nil, uint64(num<<3|2))
	return string(append(binary.AppendUvarint(b, uint64(len(value))), value...))
}

// TestSignatures signs in one plugin and verifies in another. Package e2e/conformance compares other kinds of keys with
// Envoy.
func TestSignatures(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	call := func(function, arguments string, opts ...hostsim.Option) string {
		t.Helper()
		line := fmt.Sprintf("request_headers call_foreign_function %q %q", function, arguments)
		host := newHost(t, line, opts...)
		host.Worker(0).Get("/")
		result, found := strings.CutPrefix(logged(host, "worker 0"), line+" = 0 ")
		if !found {
			return logged(host, "worker 0")[len(line):]
		}
		result, err := strconv.Unquote(result)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	order := pbField(1, "sha256") + pbField(2, string(private)) + pbField(3, "text")
	signed := call("sign", order)
	head := "\b\x01\x12"
	if !strings.HasPrefix(signed, head) {
		t.Fatalf("sign gives %q", signed)
	}
	signature := signed[len(head)+1:]
	digest := sha256.Sum256([]byte("text"))
	if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], []byte(signature)) {
		t.Errorf("%q is no signature of the text", signature)
	}
	if again := call("sign", order); again != signed {
		t.Errorf("the same, signed again: %q, then %q", signed, again)
	}
	check := pbField(1, "sha256") + pbField(2, string(public)) + pbField(3, signature)
	if got := call("verify_signature", check+pbField(4, "text")); got != "\b\x01" {
		t.Errorf("the right text: %q", got)
	}
	wrong := pbField(2, "Failed to verify digest. Error code: 0")
	if got := call("verify_signature", check+pbField(4, "other")); got != wrong {
		t.Errorf("another text: %q", got)
	}
	if got := call("sign", order, hostsim.Envoy136); got != " = 1" {
		t.Errorf("sign on Envoy 1.36: %q", got)
	}
}

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
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// expanded puts strings in the places of repeat("TEXT",TIMES) and message(1:"TEXT",2:NUMBER,3:KEY), a protobuf message.
func expanded(text string) (out string, err error) {
	out = function.ReplaceAllStringFunc(text, func(call string) string {
		var b []byte
		for _, a := range argument.FindAllStringSubmatch(call, -1) {
			tag, _ := strconv.Atoi(a[1])
			number, _ := strconv.Atoi(a[4])
			value, known := keys()[a[2]]
			if a[3] != "" {
				value, err = strconv.Unquote(a[3])
				known = err == nil
			}
			switch {
			case tag == 0 && a[4] != "":
				return strconv.Quote(strings.Repeat(string(b), number))
			case tag == 0:
				b = append(b, value...)
			case a[4] != "":
				b = binary.AppendUvarint(append(b, byte(tag<<3)), uint64(number))
			case !known:
				err = fmt.Errorf("there is no key %s", a[2])
			default:
				b = binary.AppendUvarint(append(b, byte(tag<<3|2)), uint64(len(value)))
				b = append(b, value...)
			}
		}
		return strconv.Quote(string(b))
	})
	return out, err
}

var (
	function = regexp.MustCompile(`\b(?:repeat|message)\((?:` + quoted + `|[\w:.,-])*\)`)
	argument = regexp.MustCompile(`(?:(\d+):)?((` + quoted + `)|(\d+)\b|[a-z]+\.[a-z-]+)`)
)

// keys are key pairs in the forms that Envoy's functions take, and their signatures of "some text" by SHA-256, each
// under a name such as "rsa.public".
var keys = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	add := func(name string, key crypto.Signer, err error) {
		orPanic(err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		orPanic(err)
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		orPanic(err)
		block := func(kind string, der []byte) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		}
		all[name+".private"], all[name+".private-pem"] = string(private), block("PRIVATE KEY", private)
		all[name+".public"], all[name+".public-pem"] = string(public), block("PUBLIC KEY", public)
		if _, none := key.(ed25519.PrivateKey); !none {
			digest := sha256.Sum256([]byte("some text"))
			signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
			orPanic(err)
			all[name+".signature"] = string(signature)
		}
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa", r, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	add("ec", e, err)
	_, d, err := ed25519.GenerateKey(rand.Reader)
	add("ed", d, err)
	return all
})

func orPanic(err error) {
	if err != nil {
		panic(err)
	}
}

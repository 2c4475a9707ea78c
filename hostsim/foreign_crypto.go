package hostsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // for crypto.SHA1
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// hashes are the hash functions of verify_signature and sign. Their case does not matter
// (UtilityImpl::getHashFunction).
var hashes = map[string]crypto.Hash{
	"sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256,
	"sha384": crypto.SHA384, "sha512": crypto.SHA512,
}

func digest(hash crypto.Hash, text string) []byte {
	h := hash.New()
	h.Write([]byte(text))
	return h.Sum(nil)
}

// What Envoy says of keys and signatures.
const (
	errVerifyInit = "Failed to initialize digest verify."
	errVerify     = "Failed to verify digest. Error code: 0"
	errNoKey      = "Invalid key type: private key required for signing operation."
	errBadKey     = "Invalid private key: key data is corrupted or malformed."
)

// verifySignature takes VerifySignatureArguments (hash function 1, public key in DER 2,
// signature 3, text 4, public key in PEM 5) and gives VerifySignatureResult.
func (v *vm) verifySignature(args []byte) ([]byte, status) {
	fields, ok := pbFields(args)
	if !ok {
		return nil, statusBadArgument
	}
	der, key := fields[2], fields[5]
	if v.host.cfg.profile == Envoy136 {
		key = "" // Envoy 1.36 does not read keys in PEM
	} else if (der == "") == (key == "") {
		return nil, statusBadArgument
	}
	if problem := verify(fields[1], derOf(der, key), fields[3], fields[4]); problem != "" {
		return []byte(pbString(2, problem)), statusOK
	}
	return []byte(pbTrue(1)), statusOK
}

// derOf returns a key in DER, given in DER or as PEM text.
func derOf(der, text string) []byte {
	if text == "" {
		return []byte(der)
	}
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	return nil
}

// verify returns why a signature is not valid, "" if it is. RSA signatures are PKCS #1 v1.5, ECDSA signatures ASN.1.
func verify(function string, der []byte, signature, text string) string {
	hash, ok := hashes[strings.ToLower(function)]
	if !ok {
		return function + " is not supported."
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return errVerifyInit
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, hash, digest(hash, text), []byte(signature)) == nil
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, digest(hash, text), []byte(signature))
	default:
		return errVerifyInit
	}
	if !ok {
		return errVerify
	}
	return ""
}

// sign takes SignArguments (hash function 1, private key in DER 2, text 3, private key in PEM 4) and gives SignResult.
// ECDSA signatures follow RFC 6979, so that runs can be repeated; Envoy's are random.
func sign(args []byte) ([]byte, status) {
	fields, ok := pbFields(args)
	if !ok || (fields[2] == "") == (fields[4] == "") {
		return nil, statusBadArgument
	}
	signature, problem := signText(fields[1], derOf(fields[2], fields[4]), fields[3])
	if problem != "" {
		return []byte(pbString(3, problem)), statusOK
	}
	return []byte(pbTrue(1) + pbBytes(2, string(signature))), statusOK
}

func signText(function string, der []byte, text string) (signature []byte, problem string) {
	hash, ok := hashes[strings.ToLower(function)]
	if !ok {
		return nil, function + " is not supported."
	}
	key, err := parsePrivateKey(der)
	if err != nil {
		return nil, errNoKey
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, key, hash, digest(hash, text))
	case *ecdsa.PrivateKey:
		signature, err = key.Sign(nil, digest(hash, text), hash)
	default:
		err = fmt.Errorf("a key of type %T", key)
	}
	if err != nil {
		return nil, errBadKey
	}
	return signature, ""
}

// parsePrivateKey reads PKCS #8 or, as it may come in PEM, PKCS #1 or SEC 1.
func parsePrivateKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return x509.ParseECPrivateKey(der)
}

// pbTrue is a boolean field.
func pbTrue(num int) string { return string([]byte{byte(num << 3), 1}) }

package source

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"encoding/pem"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// leastRSA is the smallest RSA key that OpenSSL takes at its default security
// level 2, in bits. NGINX would refuse its whole configuration over a smaller.
const leastRSA = 2048

// KeyPairError says why a Secret is no usable key pair. It never holds any of
// the Secret's contents.
type KeyPairError struct {
	Field  string // "type", "data[tls.crt]" or "data[tls.key]"
	Reason string
}

// Error returns "data[tls.crt]: reason".
func (e *KeyPairError) Error() string { return e.Field + ": " + e.Reason }

// KeyPair returns the certificate chain and the private key of a Secret of type
// kubernetes.io/tls, PEM encoded anew, so that nothing but the certificates
// and the key is in them. They belong together unless there is an error, which
// is a *KeyPairError.
func KeyPair(secret *corev1.Secret) (certificate, key []byte, err error) {
	if secret.Type != corev1.SecretTypeTLS {
		return nil, nil, &KeyPairError{"type", "must be " + string(corev1.SecretTypeTLS)}
	}
	certificate, err = reencode(secret, corev1.TLSCertKey, isCertificate)
	if err != nil {
		return nil, nil, err
	}
	key, err = reencode(secret, corev1.TLSPrivateKeyKey, isPrivateKey)
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		// Its error is not passed on: it was made from a secret.
		return nil, nil, &KeyPairError{"data[tls.key]", "is not the key of the first certificate in tls.crt, or one of them is broken"}
	}
	if k, ok := pair.PrivateKey.(*rsa.PrivateKey); ok && k.N.BitLen() < leastRSA {
		return nil, nil, &KeyPairError{"data[tls.key]", "is an RSA key of less than 2048 bits"}
	}
	return certificate, key, nil
}

func isCertificate(block *pem.Block) bool { return block.Type == "CERTIFICATE" }

func isPrivateKey(block *pem.Block) bool {
	return strings.HasSuffix(block.Type, "PRIVATE KEY") && block.Type != "ENCRYPTED PRIVATE KEY" && len(block.Headers) == 0
}

// reencode returns the blocks of secret.Data[name] that wanted accepts, without
// whatever stands between them. "EC PARAMETERS" before a key is left out; any
// other block is an error, and so is one that cannot be read.
func reencode(secret *corev1.Secret, name string, wanted func(*pem.Block) bool) ([]byte, error) {
	fail := func(reason string) ([]byte, error) {
		return nil, &KeyPairError{"data[" + name + "]", reason}
	}
	data := secret.Data[name]
	if len(data) == 0 {
		return fail("is missing")
	}
	var out []byte
	begun := bytes.Count(data, []byte("-----BEGIN"))
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		begun--
		switch {
		case wanted(block):
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		case block.Type != "EC PARAMETERS":
			return fail("holds a PEM block that does not belong there, or an encrypted key")
		}
	}
	if begun != 0 || len(out) == 0 {
		return fail("is not whole PEM")
	}
	return out, nil
}

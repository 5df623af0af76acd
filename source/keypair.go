package source

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"

	corev1 "k8s.io/api/core/v1"
)

// leastRSA is the smallest RSA key that OpenSSL takes at its default security
// level 2, in bits. NGINX would refuse its whole configuration over a smaller.
const leastRSA = 2048

// Bounds of a Secret: more than any real chain needs.
const (
	mostPEM          = 256 << 10
	mostCertificates = 20
)

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
	certificate, err = reencode(secret, corev1.TLSCertKey, mostCertificates, isCertificate)
	if err != nil {
		return nil, nil, err
	}
	key, err = reencode(secret, corev1.TLSPrivateKeyKey, 1, isPrivateKey)
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

func isCertificate(block *pem.Block) error {
	if block.Type != "CERTIFICATE" {
		return errors.New("holds a PEM block that is not a certificate")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return errors.New("holds a certificate that cannot be parsed")
	}
	return nil
}

func isPrivateKey(block *pem.Block) error {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
		return errors.New("is encrypted, and nobody is there to type the password")
	case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", block.Type == "EC PRIVATE KEY":
		return nil
	}
	return errors.New("holds a PEM block that is not a private key")
}

// reencode returns the blocks of secret.Data[name], of which there may be most,
// without whatever stands between them. The parameters that openssl writes
// before an EC key are left out; a block that check has something against, or
// that cannot be read, is an error.
func reencode(secret *corev1.Secret, name string, most int, check func(*pem.Block) error) ([]byte, error) {
	fail := func(reason string) ([]byte, error) {
		return nil, &KeyPairError{Key("data", name), reason}
	}
	data := secret.Data[name]
	if len(data) == 0 {
		return fail("is missing")
	}
	if len(data) > mostPEM {
		return fail("is larger than 256 KiB")
	}
	var out []byte
	begun, blocks := bytes.Count(data, []byte("-----BEGIN")), 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		begun--
		if block.Type == "EC PARAMETERS" {
			continue
		}
		if err := check(block); err != nil {
			return fail(err.Error())
		}
		blocks++
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if begun != 0 || blocks == 0 || blocks > most {
		return fail("is not whole PEM, or has too many blocks")
	}
	return out, nil
}

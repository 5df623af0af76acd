package nginxconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPEM bounds a chain or key: more than any real one needs.
const maxPEM = 256 << 10

// cleanPair checks a certificate chain and its key, and returns both in
// canonical PEM: nothing but the blocks NGINX needs.
func cleanPair(t TLS) (chain, key []byte, err error) {
	if chain, err = cleanChain(t.Certificate); err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	if key, err = cleanKey(t.Key); err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		return nil, nil, fmt.Errorf("certificate and key: %w", err)
	}
	return chain, key, nil
}

func cleanChain(text []byte) ([]byte, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %q block is in it", b.Type)
		}
		if _, err := x509.ParseCertificate(b.Bytes); err != nil {
			return nil, err
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}))
	}
	return out.Bytes(), nil
}

// cleanKey wants one key that is not encrypted: nobody is there to type a
// password. The parameters that openssl writes before an EC key are left out.
func cleanKey(text []byte) ([]byte, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) == 2 && blocks[0].Type == "EC PARAMETERS" {
		blocks = blocks[1:]
	}
	if len(blocks) != 1 {
		return nil, fmt.Errorf("%d PEM blocks instead of one", len(blocks))
	}
	b := blocks[0]
	switch {
	case b.Type == "ENCRYPTED PRIVATE KEY", b.Headers["DEK-Info"] != "":
		return nil, errors.New("it is encrypted")
	case b.Type != "PRIVATE KEY" && b.Type != "RSA PRIVATE KEY" && b.Type != "EC PRIVATE KEY":
		return nil, fmt.Errorf("a %q block is not a private key", b.Type)
	}
	return pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}), nil
}

// pemBlocks splits text that is nothing but PEM.
func pemBlocks(text []byte) ([]*pem.Block, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("%d bytes are too much, %d is the most", len(text), maxPEM)
	}
	var blocks []*pem.Block
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, errors.New("it is not PEM from the first byte to the last")
		}
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, errors.New("a PEM block is broken")
		}
		blocks, rest = append(blocks, b), bytes.TrimSpace(rest)
	}
	if len(blocks) == 0 {
		return nil, errors.New("it is empty")
	}
	return blocks, nil
}

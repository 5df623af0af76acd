package gossip

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of a key: AES-256.
const KeySize = 32

// Key encrypts gossip. However it is printed or logged, it shows its
// fingerprint only; marks are to be compared, not Keys. The zero Key is absent.
type Key struct {
	secret *[KeySize]byte // a pointer: fmt does not follow those in fields it may not ask
}

// NewKey returns the key with these bytes.
func NewKey(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("a gossip key has %d bytes, this one %d", KeySize, len(b))
	}
	own := [KeySize]byte(b)
	return Key{&own}, nil
}

// Bytes returns a copy of the key itself.
func (k Key) Bytes() []byte { return append([]byte(nil), k.secret[:]...) }

// mark is a short one-way name of a key, by which nodes compare what they
// have.
type mark [8]byte

func (k Key) mark() mark {
	if k.secret == nil {
		return mark{}
	}
	sum := sha256.Sum256(append([]byte("harmony gossip key\x00"), k.secret[:]...))
	return mark(sum[:8])
}

// Fingerprint names the key without telling it.
func (k Key) Fingerprint() string { return k.mark().String() }

// String is the mark in hexadecimal.
func (m mark) String() string { return hex.EncodeToString(m[:]) }

// Format writes the fingerprint, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.Fingerprint()) }

// LogValue is the fingerprint.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.Fingerprint()) }

// MarshalText writes the fingerprint.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.Fingerprint()), nil }

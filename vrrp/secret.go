package vrrp

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
)

// Secret is a password or a key. However it is printed, logged or encoded, it
// shows that it is there and nothing else; Secrets takes it from one process to
// another. The zero Secret is absent.
type Secret struct {
	value *string // a pointer: fmt does not follow those in fields it may not ask
}

// NewSecret returns the secret with these bytes.
func NewSecret(b []byte) Secret {
	s := string(b)
	return Secret{&s}
}

// Len is the number of bytes.
func (s Secret) Len() int { return len(s.bytes()) }

// Reveal returns the secret itself, for who hands it on or makes use of it.
func (s Secret) Reveal() []byte { return s.bytes() }

func (s Secret) bytes() []byte {
	if s.value == nil {
		return nil
	}
	return []byte(*s.value)
}

// Equal says whether both are the same, in a time that does not tell where they
// differ.
func (s Secret) Equal(o Secret) bool {
	return (s.value == nil) == (o.value == nil) && subtle.ConstantTimeCompare(s.bytes(), o.bytes()) == 1
}

const redacted = "[secret]"

// Format writes "[secret]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes "[secret]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Secrets are those of routers, by the router's Key and the id of the key. Only
// its JSON shows them: it carries them over a socket pair to where Restore puts
// them back into routers whose JSON has left them out.
type Secrets map[string]map[uint8][]byte

// SecretsOf returns the secrets of routers.
func SecretsOf(routers []Router) Secrets {
	s := Secrets{}
	for _, r := range routers {
		for _, k := range r.Auth.Keys {
			if s[r.Key.String()] == nil {
				s[r.Key.String()] = map[uint8][]byte{}
			}
			s[r.Key.String()][k.ID] = k.Secret.bytes()
		}
	}
	return s
}

// Restore gives routers the secrets that s has for them. The routers are not
// changed: the result shares nothing that differs.
func (s Secrets) Restore(routers []Router) []Router {
	routers = slices.Clone(routers)
	for i, r := range routers {
		routers[i].Auth.Keys = slices.Clone(r.Auth.Keys)
		for j, k := range r.Auth.Keys {
			if b, ok := s[r.Key.String()][k.ID]; ok {
				routers[i].Auth.Keys[j].Secret = NewSecret(b)
			}
		}
	}
	return routers
}

// Format writes whose secrets these are.
func (s Secrets) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "secrets of %q", slices.Sorted(maps.Keys(s)))
}

// LogValue says whose secrets these are.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

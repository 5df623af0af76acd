package vrrp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// AuthType says how adverts are authenticated.
type AuthType uint8

// The ways. The RFCs have none any more; all three are keepalived's.
const (
	AuthNone     AuthType = iota
	AuthPassword          // VRRPv2: up to 8 bytes, in the clear (RFC 2338 §10.2): against mistakes, not attackers
	AuthAH                // VRRPv2: an IP Authentication Header with HMAC-MD5-96 (RFC 2338 §10.3)
	AuthHMAC              // any version and family: a trailer with a time and HMAC-SHA-256-128
)

var authNames = [...]string{"none", "password", "ah", "hmac"}

// String returns "none", "password", "ah" or "hmac".
func (t AuthType) String() string { return enumName(authNames[:], t) }

// MarshalText writes the name.
func (t AuthType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (t *AuthType) UnmarshalText(b []byte) error { return enumValue(authNames[:], b, t) }

// AuthMode says what AuthHMAC makes of adverts without signature, so that one
// node after the other can begin to sign.
type AuthMode uint8

// The modes. A signature that is there must be right in all of them.
const (
	Enforce     AuthMode = iota // sign; accept nothing else
	Permissive                  // sign; accept adverts without signature too
	ReceiveOnly                 // do not sign; accept adverts without signature too
)

var modeNames = [...]string{"enforce", "permissive", "receive-only"}

// String returns "enforce", "permissive" or "receive-only".
func (m AuthMode) String() string { return enumName(modeNames[:], m) }

// MarshalText writes the name.
func (m AuthMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (m *AuthMode) UnmarshalText(b []byte) error { return enumValue(modeNames[:], b, m) }

// Auth is how the adverts of a router are authenticated.
type Auth struct {
	Type AuthType  `json:"type"`
	Keys []AuthKey `json:"keys,omitempty"` // one for AuthPassword and AuthAH, with id 0

	// Of AuthHMAC.
	Active uint8         `json:"active,omitempty"` // the id of the key that signs
	Mode   AuthMode      `json:"mode,omitempty"`
	Window time.Duration `json:"window,omitempty"` // how far clocks may differ; 0 is three adverts, at least 5 s
}

// AuthKey is a password, or a key with the id by which adverts name it.
type AuthKey struct {
	ID     uint8  `json:"id"`
	Secret Secret `json:"-"` // Secrets carries it
}

// The lengths of secrets, in bytes.
const (
	maxPassword = 8 // keepalived takes the first 8 of a longer one
	minHMACKey  = 32
	maxHMACKey  = 64
)

// The bounds of Window.
const (
	minWindow   = time.Second
	maxWindow   = 300 * time.Second
	leastWindow = 5 * time.Second // of one that is not configured
)

// validateAuth says what is wrong with a router's authentication.
func (r Router) validateAuth() error {
	a := r.Auth
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, fmt.Errorf("authentication: "+format, args...))
		}
	}
	switch a.Type {
	case AuthNone:
		bad(len(a.Keys) > 0, "type none has no keys")
	case AuthPassword, AuthAH:
		bad(r.Version != VRRPv2, "type %v is for version 2 only", a.Type)
		bad(len(a.Keys) != 1, "type %v needs one password, and there are %d", a.Type, len(a.Keys))
		for _, k := range a.Keys {
			bad(k.Secret.Len() < 1 || k.Secret.Len() > maxPassword, "a password has 1..%d bytes, this has %d", maxPassword, k.Secret.Len())
		}
	case AuthHMAC:
		bad(a.key(a.Active) == nil, "key %d shall sign, and is not there", a.Active)
		bad(a.Mode > ReceiveOnly, "mode %d is unknown", uint8(a.Mode))
		bad(a.Window != 0 && (a.Window < minWindow || a.Window > maxWindow || a.Window%time.Second != 0),
			"window %v is not in %v..%v in whole seconds", a.Window, minWindow, maxWindow)
		for i, k := range a.Keys {
			bad(k.Secret.Len() < minHMACKey || k.Secret.Len() > maxHMACKey, "key %d has %d bytes, not %d..%d", k.ID, k.Secret.Len(), minHMACKey, maxHMACKey)
			bad(slices.ContainsFunc(a.Keys[:i], func(o AuthKey) bool { return o.ID == k.ID }), "key %d is there twice", k.ID)
		}
	default:
		bad(true, "type %d is unknown", uint8(a.Type))
	}
	return errors.Join(errs...)
}

// key returns the key with that id, or nil.
func (a Auth) key(id uint8) *AuthKey {
	if i := slices.IndexFunc(a.Keys, func(k AuthKey) bool { return k.ID == id }); i >= 0 {
		return &a.Keys[i]
	}
	return nil
}

// password is the one secret as VRRPv2 uses it, filled up with zeros.
func (a Auth) password() (data [authDataLen]byte) {
	copy(data[:], a.Keys[0].Secret.bytes())
	return data
}

// overhead is how much authentication adds to an advert.
func (a Auth) overhead() int {
	switch a.Type {
	case AuthAH:
		return ahLen
	case AuthHMAC:
		return trailerLen
	}
	return 0
}

// auth2 is what the advert itself carries.
func (a Auth) auth2() (own auth2) {
	switch a.Type {
	case AuthPassword:
		return auth2{authTypePassword, a.password()}
	case AuthAH:
		own.Type = authTypeAH
	}
	return own
}

// memory is what a router remembers of authenticated adverts, sent and heard.
// Only adverts that are accepted change it.
type memory struct {
	ahSent, ahHeard uint32                // the highest, from whomever
	ahFrom          map[netip.Addr]uint32 // and of each sender
	signed          uint64                // the last sequence that we have signed
	heard           map[netip.Addr]uint64 // the last one of each sender
}

// doubt is why an advert is not believed, with what people should know.
type doubt struct {
	DropReason
	text string
}

// authenticate says why an advert is not believed, or nothing. It comes after
// all other checks: it remembers what must not be accepted a second time.
func (n *Node) authenticate(r *router, e Received, a Advert) doubt {
	if e.AH != (r.Auth.Type == AuthAH) || a.Version == VRRPv2 && a.Auth.Type != r.Auth.auth2().Type {
		return doubt{DropAuthType, fmt.Sprintf("is not authenticated by %v", r.Auth.Type)}
	}
	switch r.Auth.Type {
	case AuthPassword:
		own := r.Auth.password()
		if subtle.ConstantTimeCompare(own[:], a.Auth.Data[:]) != 1 {
			return doubt{DropPassword, "has another password"}
		}
	case AuthAH:
		return r.hearAH(e)
	case AuthHMAC:
		return n.hearHMAC(r, e, a)
	}
	return doubt{}
}

// sign returns the packets of one advert, one for each destination, with what
// authenticates them at this moment.
func (n *Node) sign(r *router, adverts []Send) []Send {
	switch {
	case r.Auth.Type == AuthAH:
		return r.sendAH(n.now, adverts)
	case r.Auth.Type == AuthHMAC && r.Auth.Mode != ReceiveOnly:
		return r.sendHMAC(n.now, adverts)
	}
	return adverts
}

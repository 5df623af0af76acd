package vrrp

import "time"

// authDataLen is the length of VRRPv2's Authentication Data, which every advert
// carries behind its addresses (RFC 3768 §5.3.10).
const authDataLen = 8

// auth2 is the authentication of a VRRPv2 advert. RFC 3768 knows type 0 only;
// the others are RFC 2338's.
type auth2 struct {
	Type uint8
	Data [authDataLen]byte
}

// The types of VRRPv2's authentication (RFC 2338 §5.3.6). Type 0 ignores Data.
const (
	authTypePassword = 1 // in Data, in the clear
	authTypeAH       = 2 // by the IP Authentication Header; Data is zero
)

// complete2 fills in what VRRPv2 has in places of its own, and appends the
// authentication data.
func (a Advert) complete2(b []byte) []byte {
	b[4] = a.Auth.Type
	b[5] = uint8(a.Interval / time.Second)
	return append(b, a.Auth.Data[:]...)
}

// parse2 reads what complete2 writes; b is the advert without what may follow.
func (a *Advert) parse2(b []byte) {
	a.Auth.Type = b[4]
	a.Interval = time.Duration(b[5]) * time.Second
	copy(a.Auth.Data[:], b[len(b)-authDataLen:])
}

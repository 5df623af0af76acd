package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Version is a version of the protocol.
type Version uint8

// The versions. The zero value is the current one.
const (
	VRRPv3 Version = iota // RFC 9568 and RFC 5798
	VRRPv2                // RFC 3768: IPv4, whole seconds
)

var versionNames = [...]string{"3", "2"}

// String returns "3" or "2".
func (v Version) String() string { return enumName(versionNames[:], v) }

// MarshalText writes the number.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (v *Version) UnmarshalText(b []byte) error { return enumValue(versionNames[:], b, v) }

// number is the version as adverts carry it.
func (v Version) number() uint8 {
	if v == VRRPv2 {
		return 2
	}
	return 3
}

// maxInterval2 is the longest interval of VRRPv2, whose field has one byte of
// seconds (RFC 3768 §5.3.7).
const maxInterval2 = 255 * time.Second

// check says what is wrong with an advert interval.
func (v Version) check(interval time.Duration) error {
	low, high, unit := centisecond, maxInterval, centisecond
	if v == VRRPv2 {
		low, high, unit = time.Second, maxInterval2, time.Second
	}
	if interval < low || interval > high || interval%unit != 0 {
		return fmt.Errorf("advert interval %v is not in %v..%v in steps of %v", interval, low, high, unit)
	}
	return nil
}

// Checksum is what the checksum of a VRRPv3 advert over IPv4 covers, on which
// implementations and readings of the RFCs differ. Over IPv6 it always covers
// the pseudo-header too; VRRPv2 has no pseudo-header.
type Checksum uint8

// The forms of the checksum. The zero value is keepalived's default.
const (
	PseudoHeader Checksum = iota // RFC 5798 §5.2.8: the pseudo-header and the advert
	MessageOnly                  // RFC 9568 §5.2.8: the advert alone
)

var checksumNames = [...]string{"pseudo-header", "message-only"}

// String returns "pseudo-header" or "message-only".
func (c Checksum) String() string { return enumName(checksumNames[:], c) }

// MarshalText writes the name.
func (c Checksum) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (c *Checksum) UnmarshalText(b []byte) error { return enumValue(checksumNames[:], b, c) }

// In is the form that a router in family f has: c where there is a choice.
func (c Checksum) In(f Family) Checksum {
	if f != IPv4 {
		return PseudoHeader
	}
	return c
}

// advert is what a router says with one priority on a link with that MTU.
func (r Router) advert(priority uint8, mtu int) Advert {
	a := Advert{Version: r.Version, VRID: r.VRID, Priority: priority, Interval: r.AdvertInterval, Checksum: r.Checksum, Auth: r.Auth.auth2()}
	a.Addresses = fitting(r.Family, r.Addresses, mtu, a.size(r.Family)-headerLen+r.overhead())
	return a
}

// form is what the checksum of an advert from src covers.
func (a Advert) form(src netip.Addr) Checksum {
	switch {
	case a.Version == VRRPv2:
		return MessageOnly
	case src.Is4():
		return a.Checksum
	}
	return PseudoHeader
}

// Checksums counts accepted VRRPv3 adverts over IPv4 by the form of their
// checksum, so that one can see what the peers use.
type Checksums map[Checksum]uint64

func (c *Checksums) count(a Advert, f Family) {
	if a.Version != VRRPv3 || f != IPv4 {
		return
	}
	if *c == nil {
		*c = Checksums{}
	}
	(*c)[a.Checksum]++
}

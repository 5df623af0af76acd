package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is the IP protocol number of VRRP.
const Protocol = 112

// hopLimit is the TTL or hop limit of every advert (RFC 9568 §5.1.1.3): a
// packet from off the link cannot have it.
const hopLimit = 255

// trafficClass of adverts is Internetwork Control (CS6).
const trafficClass = 0xc0

// The multicast groups of VRRP (RFC 9568 §5.1.1.2, §5.1.2.2).
var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

const (
	typeAdvert = 1
	headerLen  = 8

	// maxPacketLen is IPv6's minimum link MTU (RFC 8200 §5): an advert of that
	// length with its IP header is never fragmented.
	maxPacketLen = 1280
	headerIPv6   = 40
	maxCount     = 255

	centisecond = 10 * time.Millisecond
	maxInterval = 4095 * centisecond
)

// Advert is an advertisement of VRRPv3 (RFC 9568 §5.2) or VRRPv2 (RFC 3768 §5).
type Advert struct {
	Version   Version
	VRID      uint8
	Priority  uint8         // 0: the sender gives up ownership
	Interval  time.Duration // between adverts, within Version's range
	Addresses []netip.Addr  // all of one family
	Checksum  Checksum      // only VRRPv3 over IPv4 leaves a choice
	Auth      auth2         // VRRPv2 only
}

// fitting returns the addresses that one advert carries: the first 255, or
// fewer where they and tail more bytes would not fit a packet on a link with
// that MTU (0: not known). The rest is excluded from it.
func fitting(family Family, addrs []netip.Prefix, mtu, tail int) []netip.Addr {
	room := maxPacketLen
	if mtu > 0 {
		room = min(room, mtu)
	}
	n := min(len(addrs), maxCount, max(1, (room-headerIPv6-headerLen-tail)/addrLen(family)))
	fit := make([]netip.Addr, n)
	for i := range fit {
		fit[i] = addrs[i].Addr()
	}
	return fit
}

func addrLen(f Family) int {
	if f == IPv4 {
		return 4
	}
	return 16
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Marshal returns the advert as it stands behind the IP header, for a packet
// from src to dst, which must be of the addresses' family.
func (a Advert) Marshal(src, dst netip.Addr) ([]byte, error) {
	if len(a.Addresses) > maxCount {
		return nil, fmt.Errorf("%d addresses in an advert that holds %d", len(a.Addresses), maxCount)
	}
	if err := a.Version.check(a.Interval); err != nil {
		return nil, err
	}
	if !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4() {
		return nil, fmt.Errorf("advert from %v to %v", src, dst)
	}
	if a.Version == VRRPv2 && !src.Is4() {
		return nil, fmt.Errorf("advert of version 2 from %v: it is for IPv4 only", src)
	}
	for _, addr := range a.Addresses {
		if addr.Is4() != src.Is4() {
			return nil, fmt.Errorf("address %v in an advert from %v", addr, src)
		}
	}
	return a.encode(src, dst), nil
}

// size is the length of the encoded advert.
func (a Advert) size(f Family) int {
	n := headerLen + len(a.Addresses)*addrLen(f)
	if a.Version == VRRPv2 {
		n += authDataLen
	}
	return n
}

// encode is Marshal for an advert that is known to be valid.
func (a Advert) encode(src, dst netip.Addr) []byte {
	b := make([]byte, headerLen, a.size(familyOf(src)))
	b[0] = a.Version.number()<<4 | typeAdvert
	b[1] = a.VRID
	b[2] = a.Priority
	b[3] = uint8(len(a.Addresses))
	for _, addr := range a.Addresses {
		if addr.Is4() {
			b4 := addr.As4()
			b = append(b, b4[:]...)
		} else {
			b16 := addr.As16()
			b = append(b, b16[:]...)
		}
	}
	if a.Version == VRRPv2 {
		b = a.complete2(b)
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(a.Interval/centisecond))
	}
	a.seal(b, src, dst)
	return b
}

// seal puts the checksum into an encoded advert.
func (a Advert) seal(b []byte, src, dst netip.Addr) {
	b[6], b[7] = 0, 0
	var acc uint32
	if a.form(src) == PseudoHeader {
		acc = pseudoSum(src, dst, len(b))
	}
	binary.BigEndian.PutUint16(b[6:], ^fold(sum(acc, b)))
}

// ParseAdvert reads what follows the IP header of a packet from src to dst. It
// takes both versions, VRRPv3's IPv4 checksums with and without the
// pseudo-header, and ignores bytes behind the advert, which some
// implementations use for authentication. Its error is a DropReason.
func ParseAdvert(b []byte, src, dst netip.Addr) (Advert, error) {
	if len(b) < headerLen {
		return Advert{}, DropLength
	}
	a := Advert{VRID: b[1], Priority: b[2]}
	switch number := b[0] >> 4; {
	case number == VRRPv2.number() && src.Is4():
		a.Version = VRRPv2
	case number != VRRPv3.number():
		return Advert{}, DropVersion
	}
	if b[0]&0x0f != typeAdvert {
		return Advert{}, DropType
	}
	size := addrLen(familyOf(src))
	a.Addresses = make([]netip.Addr, b[3])
	n := a.size(familyOf(src))
	if len(b) < n {
		return Advert{}, DropLength
	}
	var ok bool
	if a.Checksum, ok = a.verify(b, n, src, dst); !ok {
		return Advert{}, DropChecksum
	}
	if a.Version == VRRPv2 {
		a.parse2(b[:n])
	} else { // the four bits before the interval are reserved: ignored on receipt
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond
	}
	if a.Interval == 0 {
		return Advert{}, DropInterval
	}
	for i := range a.Addresses {
		at := headerLen + i*size
		a.Addresses[i], _ = netip.AddrFromSlice(b[at : at+size])
	}
	return a, nil
}

// verify says whether the checksum over the first n bytes is right, and in
// which form. A sender that pads may have summed the whole of b.
func (a Advert) verify(b []byte, n int, src, dst netip.Addr) (Checksum, bool) {
	for _, part := range [][]byte{b[:n], b} {
		if a.Version != VRRPv2 && fold(sum(pseudoSum(src, dst, len(part)), part)) == 0xffff {
			return PseudoHeader, true
		}
		if src.Is4() && fold(sum(0, part)) == 0xffff {
			if a.Version == VRRPv2 {
				return PseudoHeader, true // no choice: the zero value
			}
			return MessageOnly, true
		}
	}
	return 0, false
}

// pseudoSum is the unfolded sum of the pseudo-header: addresses, length and
// protocol (RFC 8200 §8.1; the same numbers add up for IPv4).
func pseudoSum(src, dst netip.Addr, length int) uint32 {
	s, d := src.As16(), dst.As16()
	from := 0
	if src.Is4() {
		from = 12
	}
	return sum(sum(uint32(length)+Protocol, s[from:]), d[from:])
}

// sum adds the 16-bit words of b to acc. With at most 64 KiB it cannot
// overflow.
func sum(acc uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

// fold reduces a sum to 16 bits with end-around carry (RFC 1071).
func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

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

// The multicast groups of VRRP (RFC 9568 §5.1.1.2, §5.1.2.2).
var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

const (
	version3   = 3
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

// Advert is a VRRPv3 advertisement (RFC 9568 §5.2).
type Advert struct {
	VRID      uint8
	Priority  uint8         // 0: the sender gives up ownership
	Interval  time.Duration // Max Advertise Interval, 10 ms..40.95 s in whole centiseconds
	Addresses []netip.Addr  // all of one family
}

// fitting returns the addresses that one advert carries: the first 255, or
// fewer where they would not fit a packet on a link with that MTU (0: not
// known). The rest is excluded from it.
func fitting(family Family, addrs []netip.Prefix, mtu int) []netip.Addr {
	room := maxPacketLen
	if mtu > 0 {
		room = min(room, mtu)
	}
	n := min(len(addrs), maxCount, max(1, (room-headerIPv6-headerLen)/addrLen(family)))
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

// Marshal returns the advert as it stands behind the IP header, with the
// checksum over the pseudo-header of src and dst, which must be of the
// addresses' family. For IPv4 that is RFC 5798's form and keepalived's default.
func (a Advert) Marshal(src, dst netip.Addr) ([]byte, error) {
	if len(a.Addresses) > maxCount {
		return nil, fmt.Errorf("%d addresses in an advert that holds %d", len(a.Addresses), maxCount)
	}
	if a.Interval < centisecond || a.Interval > maxInterval || a.Interval%centisecond != 0 {
		return nil, fmt.Errorf("advert interval %v is not in 10ms..40.95s in steps of 10ms", a.Interval)
	}
	if !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4() {
		return nil, fmt.Errorf("advert from %v to %v", src, dst)
	}
	for _, addr := range a.Addresses {
		if addr.Is4() != src.Is4() {
			return nil, fmt.Errorf("address %v in an advert from %v", addr, src)
		}
	}
	return a.encode(src, dst), nil
}

// encode is Marshal for an advert that is known to be valid.
func (a Advert) encode(src, dst netip.Addr) []byte {
	b := make([]byte, headerLen, headerLen+len(a.Addresses)*addrLen(familyOf(src)))
	b[0] = version3<<4 | typeAdvert
	b[1] = a.VRID
	b[2] = a.Priority
	b[3] = uint8(len(a.Addresses))
	binary.BigEndian.PutUint16(b[4:], uint16(a.Interval/centisecond))
	for _, addr := range a.Addresses {
		b = append(b, addr.AsSlice()...)
	}
	binary.BigEndian.PutUint16(b[6:], ^fold(sum(pseudoSum(src, dst, len(b)), b)))
	return b
}

// ParseAdvert reads what follows the IP header of a packet from src to dst. It
// accepts IPv4 checksums with and without the pseudo-header and ignores bytes
// behind the addresses, which some implementations use for authentication.
// Its error is a DropReason.
func ParseAdvert(b []byte, src, dst netip.Addr) (Advert, error) {
	if len(b) < headerLen {
		return Advert{}, DropLength
	}
	if b[0]>>4 != version3 {
		return Advert{}, DropVersion
	}
	if b[0]&0x0f != typeAdvert {
		return Advert{}, DropType
	}
	size := addrLen(familyOf(src))
	n := headerLen + int(b[3])*size
	if len(b) < n {
		return Advert{}, DropLength
	}
	if !checksumOK(b, n, src, dst) {
		return Advert{}, DropChecksum
	}
	a := Advert{
		VRID: b[1], Priority: b[2],
		// The four bits before the interval are reserved: ignored on receipt.
		Interval:  time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond,
		Addresses: make([]netip.Addr, b[3]),
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

// checksumOK says whether the checksum over the first n bytes is right. A
// sender that pads may have summed the whole of b.
func checksumOK(b []byte, n int, src, dst netip.Addr) bool {
	for _, part := range [][]byte{b[:n], b} {
		if fold(sum(pseudoSum(src, dst, len(part)), part)) == 0xffff {
			return true
		}
		if src.Is4() && fold(sum(0, part)) == 0xffff {
			return true
		}
	}
	return false
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

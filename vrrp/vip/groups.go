package vip

import "net/netip"

// group is a multicast group on an interface.
type group struct {
	index int // of the interface
	addr  netip.Addr
}

// solicitedNode is the group by which neighbors ask where addr lives (RFC 4291
// §2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

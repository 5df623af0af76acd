package vip

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// frame is a packet for the link: its EtherType, receiver and payload.
type frame struct {
	etherType uint16
	to        net.HardwareAddr
	payload   []byte
}

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd
)

// announcement returns the packet by which addr says that it lives at hw: a
// gratuitous ARP request (RFC 5227 §3, as keepalived sends it), or an
// unsolicited neighbor advertisement (RFC 4861 §7.2.6) that overrides what
// neighbors know. router says that this interface forwards.
func announcement(addr netip.Addr, hw net.HardwareAddr, router bool) (frame, error) {
	if addr.Is4() {
		broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		p, err := arp.NewPacket(arp.OperationRequest, hw, addr, broadcast, addr)
		if err != nil {
			return frame{}, err
		}
		payload, err := p.MarshalBinary()
		return frame{etherTypeARP, broadcast, payload}, err
	}
	allNodes := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})
	na, err := ndp.MarshalMessageChecksum(&ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: hw}},
	}, addr, allNodes)
	return frame{
		etherTypeIPv6,
		net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, // RFC 2464 §7
		append(ipv6Header(addr, allNodes, len(na)), na...),
	}, err
}

// ipv6Header returns the header of an ND message (RFC 8200 §3): ICMPv6 with
// the hop limit of 255 that proves it comes from the link (RFC 4861 §7.1.2).
func ipv6Header(from, to netip.Addr, length int) []byte {
	h := make([]byte, 8, 40+length)
	h[0] = 6 << 4
	binary.BigEndian.PutUint16(h[4:], uint16(length))
	h[6] = 58
	h[7] = 255
	return append(append(h, from.AsSlice()...), to.AsSlice()...)
}

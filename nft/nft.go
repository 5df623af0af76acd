// Package nft owns the nftables tables of Harmony: masquerading of balanced
// connections, the fence that lets an address answer ARP and ND only while
// its owner lives, and the firewall of addresses. It never touches a table that
// is not ours.
//
//	ip, ip6       harmony           masquerading ([Table])
//	arp, ip6      harmony-fence     silence, survives its process ([Fence])
//	arp, ip6      harmony-alive     speech, dies with its process ([Fence])
//	arp, ip, ip6  harmony-devices   what must not leave with a virtual MAC ([Fence])
//	arp, ip6      harmony-mute      silence while that process hangs ([Mute])
//	ip, ip6       harmony-firewall  what may come in to virtual addresses ([Firewall])
package nft

import (
	"errors"
	"net/netip"
)

// ErrUnsupported is wrapped by the errors of a kernel that lacks what a table
// needs, such as tables with an owner (Linux 5.12). The caller logs it and
// goes on without.
var ErrUnsupported = errors.New("not supported by this kernel")

// Endpoint is a port of a virtual address.
type Endpoint struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	Protocol uint8      `json:"protocol"` // IPPROTO_TCP 6, UDP 17, SCTP 132
}

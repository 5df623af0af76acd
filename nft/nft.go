// Package nft owns the nftables tables of Harmony: masquerading of balanced
// connections and the fence that lets an address answer ARP and ND only while
// its owner lives. It never touches a table that is not ours.
package nft

import "net/netip"

// Endpoint is a virtual service address whose balanced connections are
// masqueraded.
type Endpoint struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	Protocol uint8      `json:"protocol"` // IPPROTO_TCP 6, UDP 17, SCTP 132
}

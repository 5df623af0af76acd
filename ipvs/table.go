// Package ipvs holds the wanted layer 4 table of the kernel (ip_vs), compares
// it with what is there and writes the smallest difference. Only what the
// journal names as ours is ever changed or removed.
package ipvs

import (
	"fmt"
	"net/netip"
	"time"
)

// Protocol is an IP protocol number that ip_vs balances.
type Protocol uint8

// The protocols of <linux/ip_vs.h> services (values of IPPROTO_*).
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns "TCP", "UDP" or "SCTP".
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Forwarding is how packets reach a real server (IP_VS_CONN_F_FWD_MASK).
type Forwarding uint8

// The forwarding methods of this release. The zero value is the kernel's too.
const (
	NAT Forwarding = 0 // masquerading, ipvsadm -m
	DR  Forwarding = 3 // direct routing, ipvsadm -g
)

// Key identifies a virtual service in the kernel's table.
type Key struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	Protocol Protocol   `json:"protocol"`
}

// String returns "TCP 192.0.2.1:80", with brackets around IPv6 addresses.
func (k Key) String() string {
	return k.Protocol.String() + " " + netip.AddrPortFrom(k.Address, k.Port).String()
}

// Service is one wanted or found virtual service with its real servers.
type Service struct {
	Key
	Scheduler    string        `json:"scheduler"`             // kernel name: rr, wrr, lc, wlc, mh, sh, ...
	Persistence  time.Duration `json:"persistence,omitempty"` // whole seconds; 0 means none
	Destinations []Destination `json:"destinations,omitempty"`
}

// Destination is one real server of a virtual service. Address and Port are
// its identity within the service.
type Destination struct {
	Address    netip.Addr `json:"address"`
	Port       uint16     `json:"port"`
	Forwarding Forwarding `json:"forwarding"`
	Weight     int        `json:"weight"` // 0 takes no new connections
}

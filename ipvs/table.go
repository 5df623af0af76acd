// Package ipvs holds the wanted layer 4 table of the kernel (ip_vs), compares
// it with what is there and writes the smallest difference. Only what the
// journal names as ours is ever changed or removed.
package ipvs

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
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

// The forwarding methods. The zero value is the kernel's too.
const (
	NAT Forwarding = 0 // masquerading, ipvsadm -m
	TUN Forwarding = 2 // tunnelling, ipvsadm -i
	DR  Forwarding = 3 // direct routing, ipvsadm -g
)

// String returns "NAT", "TUN" or "DR"; other methods, which only foreign
// entries have, by their number.
func (f Forwarding) String() string {
	switch f {
	case NAT:
		return "NAT"
	case TUN:
		return "TUN"
	case DR:
		return "DR"
	}
	return fmt.Sprintf("forwarding %d", uint8(f))
}

// TunnelType is the encapsulation of a TUN destination
// (IP_VS_CONN_F_TUNNEL_TYPE_* of <linux/ip_vs.h>).
type TunnelType uint8

// The encapsulations.
const (
	IPIP TunnelType = 0 // RFC 2003, RFC 2473
	GUE  TunnelType = 1 // generic UDP encapsulation, to Tunnel.Port
	GRE  TunnelType = 2 // RFC 2784
)

// Checksum is what protects an encapsulated packet
// (IP_VS_TUNNEL_ENCAP_FLAG_* of <linux/ip_vs.h>).
type Checksum uint8

// The checksums of tunnels.
const (
	NoChecksum     Checksum = 0
	WithChecksum   Checksum = 1 // GUE, GRE
	RemoteChecksum Checksum = 2 // GUE: remote checksum offload
)

// Tunnel is how packets are encapsulated for a TUN destination. The zero value
// is IPIP.
type Tunnel struct {
	Type     TunnelType `json:"type,omitempty"`
	Port     uint16     `json:"port,omitempty"` // with GUE only, and there required
	Checksum Checksum   `json:"checksum,omitempty"`
}

// Key identifies a virtual service in the kernel's table: either an address,
// a port and a protocol, or a firewall mark and a family.
type Key struct {
	Address  netip.Addr `json:"address,omitzero"`
	Port     uint16     `json:"port,omitempty"`
	Protocol Protocol   `json:"protocol,omitempty"`

	FWMark uint32 `json:"fwmark,omitempty"` // above 0; then Address, Port and Protocol are zero
	IPv6   bool   `json:"ipv6,omitempty"`   // only with FWMark: it balances IPv6
}

// String returns "TCP 192.0.2.1:80", with brackets around IPv6 addresses, or
// "mark 7", "mark 7 IPv6".
func (k Key) String() string {
	switch {
	case k.FWMark == 0:
		return k.Protocol.String() + " " + netip.AddrPortFrom(k.Address, k.Port).String()
	case k.IPv6:
		return fmt.Sprintf("mark %d IPv6", k.FWMark)
	}
	return fmt.Sprintf("mark %d", k.FWMark)
}

// is6 says whether the service balances IPv6.
func (k Key) is6() bool { return k.IPv6 || k.Address.Is6() }

// compare orders keys as ipvsadm does: mark, family, protocol, address, port.
func (k Key) compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.FWMark, o.FWMark),
		cmp.Compare(bits(k.is6()), bits(o.is6())),
		cmp.Compare(k.Protocol, o.Protocol),
		k.Address.Compare(o.Address),
		cmp.Compare(k.Port, o.Port))
}

// bits is the length of an address.
func bits(is6 bool) int {
	if is6 {
		return 128
	}
	return 32
}

// Service is one wanted or found virtual service with its real servers.
type Service struct {
	Key
	Scheduler string `json:"scheduler"` // kernel name: rr, wrr, lc, wlc, mh, sh, ...
	// Fallback lets sh and mh send the clients of a real server that takes no
	// new connections to another one, and HashPort lets them hash the source
	// port too (IP_VS_SVC_F_SCHED1 and 2; ipvsadm -b sh-fallback,sh-port).
	Fallback bool `json:"fallback,omitempty"`
	HashPort bool `json:"hashPort,omitempty"`
	// OnePacket schedules each datagram by itself; UDP only (ipvsadm -o).
	OnePacket bool `json:"onePacket,omitempty"`

	Persistence time.Duration `json:"persistence,omitempty"` // whole seconds; 0 means none
	// Netmask is the length of the prefix whose clients persist together; 0
	// means the whole address. Only with Persistence.
	Netmask int `json:"netmask,omitempty"`
	// Engine is the kernel's name of a persistence engine: "sip", UDP only; ""
	// means none. Only with Persistence.
	Engine       string        `json:"engine,omitempty"`
	Destinations []Destination `json:"destinations,omitempty"`

	// Unmodelled is true when the kernel's entry carries a setting that
	// Harmony never writes. Never set it in a wanted service: Diff edits such
	// an entry of ours back.
	Unmodelled bool `json:"-"`
}

// Destination is one real server of a virtual service. Address and Port are
// its identity within the service.
//
// Weight 0 means no new connections. The schedulers mh and sh then refuse the
// clients whose hash is that destination's, unless Service.Fallback is set.
type Destination struct {
	Address    netip.Addr `json:"address"`
	Port       uint16     `json:"port"`
	Forwarding Forwarding `json:"forwarding"`
	Weight     int        `json:"weight"` // 0..65535
	Tunnel     Tunnel     `json:"tunnel,omitzero"`
	// Upper is the number of connections from which on the kernel gives it no
	// new ones, until there are fewer than Lower; 0 means no limit, and for
	// Lower three quarters of Upper.
	Upper uint32 `json:"upper,omitempty"`
	Lower uint32 `json:"lower,omitempty"`

	// Unmodelled is true when the kernel's entry carries a setting that
	// Harmony never writes. See Service.Unmodelled.
	Unmodelled bool `json:"-"`
	// Stats are live counters of an entry that was read from the kernel. They
	// are not part of the desired state.
	Stats Stats `json:"stats,omitzero"`
}

// Stats are the live counters of a destination.
type Stats struct {
	Active   int `json:"active"`   // established TCP connections; 0 for UDP
	Inactive int `json:"inactive"` // all others, such as FIN_WAIT and TIME_WAIT
	Traffic
}

// Traffic counts what went through a service or a destination since it was
// made (IPVS_SVC_ATTR_STATS64). Out is 0 except with NAT.
type Traffic struct {
	Connections uint64 `json:"connections"`
	PacketsIn   uint64 `json:"packetsIn"`
	PacketsOut  uint64 `json:"packetsOut"`
	BytesIn     uint64 `json:"bytesIn"`
	BytesOut    uint64 `json:"bytesOut"`
}

// endpoint is what identifies a destination within its service.
func (d Destination) endpoint() netip.AddrPort { return netip.AddrPortFrom(d.Address, d.Port) }

// sorted returns the services in ipvsadm's order and leaves the argument alone.
func sorted(services []Service) []Service {
	return slices.SortedFunc(slices.Values(services), func(a, b Service) int { return a.Key.compare(b.Key) })
}

// sortedDestinations returns the destinations by address and port and leaves
// the argument alone.
func sortedDestinations(dests []Destination) []Destination {
	return slices.SortedFunc(slices.Values(dests), func(a, b Destination) int {
		return a.endpoint().Compare(b.endpoint())
	})
}

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

// The forwarding methods of this release. The zero value is the kernel's too.
const (
	NAT Forwarding = 0 // masquerading, ipvsadm -m
	DR  Forwarding = 3 // direct routing, ipvsadm -g
)

// String returns "NAT" or "DR"; other methods, which only foreign entries
// have, by their number.
func (f Forwarding) String() string {
	switch f {
	case NAT:
		return "NAT"
	case DR:
		return "DR"
	}
	return fmt.Sprintf("forwarding %d", uint8(f))
}

// Key identifies a virtual service in the kernel's table. Services by
// firewall mark have no Key; they are never ours.
type Key struct {
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	Protocol Protocol   `json:"protocol"`
}

// String returns "TCP 192.0.2.1:80", with brackets around IPv6 addresses.
func (k Key) String() string {
	return k.Protocol.String() + " " + netip.AddrPortFrom(k.Address, k.Port).String()
}

// compare orders keys as ipvsadm does: family, protocol, address, port.
func (k Key) compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Address.BitLen(), o.Address.BitLen()),
		cmp.Compare(k.Protocol, o.Protocol),
		k.Address.Compare(o.Address),
		cmp.Compare(k.Port, o.Port))
}

// Service is one wanted or found virtual service with its real servers.
type Service struct {
	Key
	Scheduler    string        `json:"scheduler"`             // kernel name: rr, wrr, lc, wlc, mh, sh, ...
	Persistence  time.Duration `json:"persistence,omitempty"` // whole seconds; 0 means none
	Destinations []Destination `json:"destinations,omitempty"`

	// Unmodelled is true when the kernel's entry carries a setting that
	// Harmony never writes: scheduler flags, one-packet scheduling, a
	// persistence netmask. Never set it in a wanted service: Diff edits such
	// an entry of ours back.
	Unmodelled bool `json:"-"`
}

// Destination is one real server of a virtual service. Address and Port are
// its identity within the service.
//
// Weight 0 means no new connections. The schedulers mh and sh refuse the
// clients whose hash is that destination's, instead of sending them elsewhere
// (the kernel would with its fallback flag, which is not modelled yet); to
// move them, leave the destination out.
type Destination struct {
	Address    netip.Addr `json:"address"`
	Port       uint16     `json:"port"`
	Forwarding Forwarding `json:"forwarding"`
	Weight     int        `json:"weight"` // 0..65535

	// Unmodelled is true when the kernel's entry carries connection
	// thresholds, which Harmony never writes. See Service.Unmodelled.
	Unmodelled bool `json:"-"`
	// Stats are live counters of an entry that was read from the kernel. They
	// are not part of the desired state.
	Stats Stats `json:"stats,omitzero"`
}

// Stats are the live counters of a destination.
type Stats struct {
	Active   int `json:"active"`   // established TCP connections; 0 for UDP
	Inactive int `json:"inactive"` // all others, such as FIN_WAIT and TIME_WAIT
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

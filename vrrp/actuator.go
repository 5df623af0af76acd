package vrrp

import "net/netip"

// Actuator is the engine's door to addresses on interfaces. It is called from
// the engine's goroutine only and must not block for longer than a few system
// calls: Announce queues. Package vip implements it on Linux; the address
// prefixes are those of Router.Addresses.
type Actuator interface {
	// Add puts addrs on the interface without duplicate address detection.
	// Addresses already there are adopted. The error names every address that
	// is not there afterwards.
	Add(iface string, addrs []netip.Prefix) error
	// Serve names all routers that own their addresses, sorted: their routes
	// and rules exist from now on, and those of others do not. It comes after
	// Add, and before Remove.
	Serve(routers []Key) error
	// Remove takes addrs from the interface, except those that existed before
	// us. Absent addresses are not an error.
	Remove(iface string, addrs []netip.Prefix) error
	// Announce sends one gratuitous ARP request or unsolicited neighbor
	// advertisement (Override set) for each address.
	Announce(iface string, addrs []netip.Prefix) error
	// Answer is the whole set of addresses that answer ARP and ND from now on.
	// Addresses that Add has put but that are not in it stay silent (they
	// still accept traffic). It is a no-op where the kernel cannot do it.
	Answer(addrs []netip.Addr) error
}

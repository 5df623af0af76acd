// Package vrrp elects the owner of virtual IP addresses with the Virtual
// Router Redundancy Protocol, version 3 (RFC 9568, RFC 5798) or 2 (RFC 3768).
//
// The core is [Node.Step], a pure function of (state, event, now); sockets and
// clocks are in the engine. A Router here is one virtual router in one address
// family: an object with addresses of both families is two Routers.
package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Family is an address family of a virtual router. RFC 9568 runs one election
// per family.
type Family uint8

// The two address families. The zero Family is invalid.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns "IPv4" or "IPv6".
func (f Family) String() string { return fmt.Sprintf("IPv%d", uint8(f)) }

// Key identifies a Router for its whole life: the name its user gave it and
// the family. VRID, interface and addresses may change under the same Key.
type Key struct {
	Name   string `json:"name"`
	Family Family `json:"family"`
}

// String returns "NAME/IPv4" or "NAME/IPv6".
func (k Key) String() string { return k.Name + "/" + k.Family.String() }

// PreemptMode says whether a backup takes over from a live owner of lower
// priority (RFC 9568 §6.1, Preempt_Mode).
type PreemptMode uint8

// The preempt modes. The zero value is the RFC's default.
const (
	PreemptAlways PreemptMode = iota // take over at once
	PreemptNever                     // never from a live owner
	PreemptDelay                     // after Router.PreemptDelay of lower adverts
)

var preemptNames = [...]string{"always", "never", "delay"}

// String returns "always", "never" or "delay".
func (m PreemptMode) String() string { return enumName(preemptNames[:], m) }

// MarshalText writes the name.
func (m PreemptMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (m *PreemptMode) UnmarshalText(b []byte) error { return enumValue(preemptNames[:], b, m) }

// Router is the configuration of one virtual router in one family on this
// node. It is a value: the engine compares old and new and touches only what
// differs.
type Router struct {
	Key
	VRID      uint8          `json:"vrid"`      // 1..255
	Interface string         `json:"interface"` // where adverts and addresses go
	Addresses []netip.Prefix `json:"addresses"` // all of Key.Family, in the user's order; the prefix is the on-link length
	Priority  Priority       `json:"priority"`

	Version        Version       `json:"version"`
	Checksum       Checksum      `json:"checksum,omitempty"` // of adverts over IPv4 that we send; any is accepted
	AdvertInterval time.Duration `json:"advertInterval"`     // 10 ms..40.95 s in whole centiseconds; version 2: 1 s..255 s in whole seconds
	Preempt        PreemptMode   `json:"preempt"`
	PreemptDelay   time.Duration `json:"preemptDelay,omitempty"` // only with PreemptDelay
	Auth           Auth          `json:"auth,omitzero"`
	Unicast        []netip.Addr  `json:"unicast,omitempty"` // peers; empty means multicast
	// DownAdverts is how many adverts of the owner may be missing before it
	// counts as dead, 1..100, as keepalived's down_timer_adverts; 0 means 3.
	DownAdverts uint8 `json:"downAdverts,omitempty"`
	// StartupDelay and LinkUpDelay are for how long the router listens at least
	// before it takes over: after it is configured, and after it was in Fault.
	StartupDelay time.Duration `json:"startupDelay,omitempty"`
	LinkUpDelay  time.Duration `json:"linkUpDelay,omitempty"`

	// Group is the sync group: its routers on a node own their addresses all
	// together or not at all, and advertise the lowest priority among them.
	// Empty means none.
	Group string `json:"group,omitempty"`
	// Announcing is how the addresses are announced.
	Announcing Announcing `json:"announcing,omitzero"`
	// Track are other interfaces that the router depends on.
	Track []TrackInterface `json:"track,omitempty"`
	// Fault, if not empty, says why the router shall not take part, such as
	// "track nginx: exit status 1".
	Fault string `json:"fault,omitempty"`

	// Device is the device with the router's virtual MAC, which then has the
	// addresses; empty means that Interface has them. The caller makes it.
	Device string `json:"device,omitempty"`
	// Routes and Rules exist while the router owns its addresses.
	Routes []Route `json:"routes,omitempty"`
	Rules  []Rule  `json:"rules,omitempty"`
	// PlainAdverts has multicast adverts leave with the MAC of Interface
	// although there is a Device, as unicast ones always do.
	PlainAdverts bool `json:"plainAdverts,omitempty"`

	// MinTTL is the least TTL or hop limit of adverts from unicast peers; 0
	// means 255: they must be on the link. keepalived 2.2.7 needs 64 here for
	// IPv6: it sends unicast adverts with the system's default.
	MinTTL uint8 `json:"minTTL,omitempty"`

	// Gossip, if not 0, has adverts travel by the engine's Carrier, among
	// whose routers it is the id; VRID is its low byte, and may be 0 then.
	Gossip uint32 `json:"gossip,omitempty"`
}

// TrackInterface makes a router depend on an interface that is up: exists,
// administratively up, with carrier.
type TrackInterface struct {
	Interface string `json:"interface"`
	// Weight is added to the priority while the interface is up, if it is
	// positive, and while it is down, if it is negative (-253..253). With 0 the
	// router is in Fault while the interface is down.
	Weight int `json:"weight"`
	// Reverse changes the sign of what Weight adds, and with a Weight of 0 the
	// router is in Fault while the interface is up.
	Reverse bool `json:"reverse,omitempty"`
	// UpDelay and DownDelay are how long a change must last before it counts.
	UpDelay   time.Duration `json:"upDelay,omitempty"`
	DownDelay time.Duration `json:"downDelay,omitempty"`
}

// delta is what the weight adds when it counts.
func (t TrackInterface) delta() int {
	if t.Reverse {
		return -t.Weight
	}
	return t.Weight
}

// Term is one named contribution to a priority, such as a tracker's or an
// operator's override.
type Term struct {
	Reason string `json:"reason"` // shown to people: "failover override", "worker silent for 12s"
	Delta  int    `json:"delta"`  // added to the base
}

// Priority explains an effective priority: a base and the terms added to it.
type Priority struct {
	Base  uint8  `json:"base"` // 1..255; 255 means address owner
	Terms []Term `json:"terms,omitempty"`
}

// Effective is the priority that is advertised: the base plus all terms,
// clamped to 1..254. The address owner's 255 is never changed by terms, as in
// keepalived.
func (p Priority) Effective() uint8 {
	if p.Base == 255 {
		return 255
	}
	return uint8(min(max(p.sum(), 1), 254))
}

// sum is the base plus all terms.
func (p Priority) sum() int {
	sum := int(p.Base)
	for _, t := range p.Terms {
		sum += t.Delta
	}
	return sum
}

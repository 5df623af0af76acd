package vrrp

import (
	"net/netip"
	"slices"
)

// Event is an input of Node.Step: Inherit, Configure, Link, Received, Tick,
// Resign or Halt.
type Event interface{ event() }

// Configure is the whole set of routers that this node shall run. What equals
// the running configuration is not touched.
type Configure struct {
	// Routers must each be valid (Router.Validate) and together free of
	// conflicts; Admit sees to both.
	Routers []Router
}

// Link tells the state of an interface. An interface never told of is absent.
type Link struct {
	Interface string
	Up        bool // exists, administratively up, with carrier
	Disabled  bool // exists, administratively down
	// Addresses are those that can be a source now (no tentative ones), of
	// both families, in the kernel's order, ours included.
	Addresses []netip.Prefix
	MTU       int // in bytes; 0 when it is not known
	// Gossip says why routers with Router.Gossip may not hear their peers
	// here, if they may not.
	Gossip string
}

// equal says whether nothing has changed.
func (l Link) equal(o Link) bool {
	return l.Interface == o.Interface && l.Up == o.Up && l.Disabled == o.Disabled && l.MTU == o.MTU && l.Gossip == o.Gossip &&
		slices.Equal(l.Addresses, o.Addresses)
}

// Received is a packet of protocol 112, or one of protocol 51 when AH is set.
type Received struct {
	Interface string
	Src, Dst  netip.Addr
	TTL       int    // or hop limit
	AH        bool   // Packet begins with an IP Authentication Header, which
	ID        uint16 // covers the packet's IPv4 identification
	Packet    []byte // what follows the IP header; not retained
	Gossip    uint32 // it came by the Carrier, for the router with that id,
	Node      string // and from the node of that name
}

// Tick says that time has passed. All packets that had arrived before it must
// have been handed in first: a timer must not act on silence that is only our
// own delay.
type Tick struct{}

// Resign asks to give up the addresses of every router of that name that is
// master here, in favour of whoever takes over. A router that nobody takes
// becomes master again. Lower the priority first, or a preempting router
// takes its addresses back.
type Resign struct{ Name string }

// Halt ends all routers. Those that are master hand over first, unless Now.
// With Keep, the addresses that nobody takes over stay on their interfaces,
// silent, for the next life to inherit.
type Halt struct{ Now, Keep bool }

// Inherit tells, before the first Configure, which addresses a previous life
// of this node has left on interfaces with Halt.Keep. Routers that have them
// keep them there, silent, while they listen.
type Inherit struct{ Addresses map[string][]netip.Prefix }

func (Inherit) event()   {}
func (Configure) event() {}
func (Link) event()      {}
func (Received) event()  {}
func (Tick) event()      {}
func (Resign) event()    {}
func (Halt) event()      {}

// Action is an output of Node.Step: Transition, AddAddresses, Answer,
// Announce, Send, RemoveAddresses, Lost, Rival or Refused. The caller carries actions out one
// after the other, in their order, and goes on when one fails.
type Action interface{ action() }

// AddAddresses puts addresses on an interface. It comes before the Answer,
// Announce and Send that make use of them.
type AddAddresses struct {
	Key       Key
	Interface string
	Addresses []netip.Prefix
}

// Answer is the whole set of addresses, of all routers, that answer ARP and ND
// from now on, sorted. When it grows it comes before the Announce that draws
// traffic here; when it shrinks, before anything tells another node to speak.
type Answer struct{ Addresses []netip.Addr }

// Announce sends one gratuitous ARP request or unsolicited neighbor
// advertisement per address. On take-over it comes before the first Send: who
// hears our advert may rely on the network knowing us already.
type Announce struct {
	Key       Key
	Interface string
	Addresses []netip.Prefix
}

// Send transmits one advert with TTL or hop limit 255.
type Send struct {
	Key       Key
	Interface string
	Src, Dst  netip.Addr
	Priority  uint8
	AH        bool   // send it as protocol 51,
	ID        uint16 // with this IPv4 identification
	Packet    []byte // what follows the IP header, checksum included; read-only
	Gossip    uint32 // send it by the Carrier, for the router with that id
}

// RemoveAddresses takes addresses from an interface. It is never emitted for
// an address that another router of this node has on that interface.
type RemoveAddresses struct {
	Key       Key
	Interface string
	Addresses []netip.Prefix
}

// Lost reports addresses of ours that somebody else has taken from the
// interface. The AddAddresses that puts them back follows.
type Lost struct {
	Key       Key
	Interface string
	Addresses []netip.Prefix
}

// Rival reports a node that advertises while we are master and do not yield.
// It is rate-limited: it accompanies our immediate answer.
type Rival struct {
	Key      Key
	Addr     netip.Addr
	Priority uint8  // the rival's
	Own      uint8  // ours, not below it
	Node     string // its name, where the transport knows it
}

// Refused reports the first advert that a router refuses for a reason, or the
// first since a minute; the others are only counted.
type Refused struct {
	Key    Key
	Reason DropReason
	Addr   netip.Addr // the sender
	TTL    int
	Text   string // more about it for people, or ""
}

func (Transition) action()      {}
func (AddAddresses) action()    {}
func (Answer) action()          {}
func (Announce) action()        {}
func (Send) action()            {}
func (RemoveAddresses) action() {}
func (Lost) action()            {}
func (Rival) action()           {}
func (Refused) action()         {}

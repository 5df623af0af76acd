package vrrp

import (
	"errors"
	"net/netip"
)

// Carrier carries the adverts of routers with Router.Gossip by another way
// than VRRP packets. Package gossip implements it.
type Carrier interface {
	// Open opens a way over the interface with that index, in the network
	// namespace of the calling thread. changed tells the engine that Trouble
	// may say something else; it may be called from any goroutine until Close
	// returns, and does not block. It is called on the engine's goroutine and
	// must not block.
	Open(iface string, index int, changed func()) (Way, error)
}

// Way carries adverts over one interface and no other. The engine's goroutine
// calls it; none of its methods may block.
type Way interface {
	// FD is a descriptor that can be read when Receive has something.
	FD() int
	// Receive returns the next advert with its Gossip, and ErrNoAdvert when
	// all that had arrived is heard.
	Receive() (Received, error)
	// Send sends an advert to every peer.
	Send(Send) error
	// Addresses tells which addresses of the interface are the node's own.
	Addresses([]netip.Prefix)
	// Trouble says why peers may not be heard; "" when they are, if there are
	// any.
	Trouble() string
	// Close closes what Open has opened.
	Close()
}

// ErrNoAdvert says that a Way has no advert at the moment.
var ErrNoAdvert = errors.New("no advert")

// gossipTail is how much shorter an advert by gossip is, for what it is
// wrapped in: encryption, and names of up to 253 bytes.
const gossipTail = 384

// validateGossip says what is wrong with a router's Gossip.
func (r Router) validateGossip() error {
	switch {
	case r.Gossip == 0:
		return nil
	case uint8(r.Gossip) != r.VRID:
		return errors.New("gossip: VRID is not the low byte of the id")
	case r.Version != VRRPv3:
		return errors.New("gossip: it is for version 3 only")
	case len(r.Unicast) > 0 || r.MinTTL != 0:
		return errors.New("gossip: it finds its peers by itself")
	case r.Auth.Type != AuthNone:
		return errors.New("gossip: it has its own encryption")
	case r.Device != "":
		return errors.New("gossip: there is no virtual MAC with it")
	}
	return nil
}

// overhead is how many bytes are added to the router's adverts.
func (r Router) overhead() int {
	if r.Gossip != 0 {
		return gossipTail
	}
	return r.Auth.overhead()
}

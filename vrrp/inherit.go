package vrrp

import "net/netip"

// A node that is alone in the network may end and begin again without its
// addresses leaving their interfaces: one life leaves behind what nobody has
// taken over, and the next one inherits it. In between, and until the next life
// has listened as any other backup does, the addresses are silent: they serve
// those who know the way and contest nobody's ownership.

// inheritance is an address on an interface that a previous life has left.
type inheritance struct {
	iface string
	addr  netip.Prefix
}

// leave lets the addresses of a router stay where they are when it stops, which
// silences them.
func (r *router) leave() { clear(r.present) }

// inherit notes what a previous life has left.
func (n *Node) inherit(ev Inherit) {
	n.left = map[inheritance]bool{}
	for iface, addrs := range ev.Addresses {
		for _, p := range addrs {
			n.left[inheritance{iface, p}] = true
		}
	}
}

// adopt gives a new router those of its addresses that were left.
func (n *Node) adopt(r *router) {
	for _, p := range r.Addresses {
		if k := (inheritance{r.Home(), p}); n.left[k] {
			r.present[p] = true
			delete(n.left, k)
		}
	}
}

// holdInherited keeps adopted addresses until the router has listened, or has
// heard an owner.
func (n *Node) holdInherited(r *router) {
	if len(r.present) > 0 && r.holdUntil.IsZero() {
		r.holdUntil = r.downAt().Add(holdAfterLoss)
	}
}

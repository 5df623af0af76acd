package vrrp

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// configure makes routers the whole set. Those that are gone hand over first.
func (n *Node) configure(routers []Router) {
	wanted := map[Key]bool{}
	for _, w := range routers {
		wanted[w.Key] = true
	}
	for _, r := range slices.Clone(n.routers) {
		if !wanted[r.Key] {
			n.retire(r, ConfigRemoved, false)
		}
	}
	for _, w := range routers {
		i, ok := n.find(w.Key)
		if !ok {
			r := &router{Router: w, present: map[netip.Prefix]bool{}}
			n.adopt(r)
			n.routers = slices.Insert(n.routers, i, r)
			continue
		}
		n.reconfigure(n.routers[i], w)
	}
	n.reindex()
	n.refresh()
}

// reconfigure gives a running router its new configuration and touches what
// differs.
func (n *Node) reconfigure(r *router, w Router) {
	if r.retired != NoCause { // wanted again
		r.retired = NoCause
		if !r.answering {
			n.becomeBackup(r, Startup, "wanted again while leaving")
		}
	}
	if r.wireKey() != wireKeyOf(w) || r.Device != w.Device {
		n.restart(r, w)
		return
	}
	if !r.preemptAt.IsZero() && (r.Preempt != w.Preempt || r.PreemptDelay != w.PreemptDelay) {
		r.released, r.preemptAt, r.downFrom, r.claim = false, time.Time{}, n.now, nil // to be judged by the new mode
	}
	r.Router = w
	if w.Version == VRRPv2 { // which has no interval to learn
		r.masterInterval = w.AdvertInterval
	}
	n.reprioritize()
	n.encode(r)
	n.readdress(r)
	if r.state == Master {
		r.advertAt = earliest(r.advertAt, n.now.Add(r.AdvertInterval))
	}
}

// restart ends what a router was on the wire; refresh starts it anew.
func (n *Node) restart(r *router, w Router) {
	if r.state == Master {
		n.release(r)
	}
	n.change(r, Stopped, ConfigChanged, fmt.Sprintf("was VRID %d on %s, is VRID %d on %s", r.VRID, r.place(), w.VRID, w.place()))
	n.removeAll(r)
	r.Router, r.src, r.peer = w, netip.Addr{}, Peer{}
}

// readdress follows a change of addresses: new ones come before old ones go.
// An address whose prefix length changes has to go first.
func (n *Node) readdress(r *router) {
	var fresh, gone []netip.Prefix
	for _, p := range slices.SortedFunc(maps.Keys(r.present), netip.Prefix.Compare) {
		if !slices.Contains(r.Addresses, p) {
			gone = append(gone, p)
		}
	}
	if r.state == Master {
		fresh = slices.DeleteFunc(slices.Clone(r.Addresses), func(p netip.Prefix) bool { return r.present[p] })
	}
	if len(fresh)+len(gone) == 0 {
		return
	}
	resized, gone := split(gone, func(p netip.Prefix) bool {
		return slices.ContainsFunc(fresh, func(f netip.Prefix) bool { return f.Addr() == p.Addr() })
	})
	if len(resized) > 0 {
		for _, p := range resized {
			delete(r.present, p)
		}
		n.out = append(n.out, RemoveAddresses{Key: r.Key, Interface: r.Home(), Addresses: resized})
	}
	n.add(r, fresh)
	n.remove(r, gone)
	if r.state == Master {
		n.announceChange(r, fresh)
		n.advertise(r)
	}
}

// announceChange announces new addresses without disturbing the schedule of
// the others.
func (n *Node) announceChange(r *router, fresh []netip.Prefix) {
	if !r.refreshing() {
		r.announce.addrs = r.Addresses
	}
	if len(fresh) == 0 {
		return
	}
	if !r.refreshing() {
		fresh = r.Addresses
	}
	r.announce.restart(fresh, n.now)
	n.announce(r)
}

// split parts s into what satisfies f and the rest.
func split[T any](s []T, f func(T) bool) (yes, no []T) {
	for _, v := range s {
		if f(v) {
			yes = append(yes, v)
		} else {
			no = append(no, v)
		}
	}
	return yes, no
}

// source is the address a router sends from, or the zero Addr when the link
// has none for it. It is never a virtual one, which may be on another node a
// moment later; only an address owner may have no other.
func source(r Router, link Link, virtual map[netip.Addr]bool) netip.Addr {
	var own, owned []netip.Prefix
	for _, p := range link.Addresses {
		switch {
		case familyOf(p.Addr()) != r.Family || !reaches(r, p.Addr()):
		case virtual[p.Addr()]:
			owned = append(owned, p)
		default:
			own = append(own, p)
		}
	}
	if len(own) == 0 && r.Priority.Base == 255 {
		own = owned
	}
	if len(own) == 0 {
		return netip.Addr{}
	}
	for _, p := range own {
		if slices.ContainsFunc(r.Unicast, p.Masked().Contains) {
			return p.Addr()
		}
	}
	return own[0].Addr()
}

// reaches says whether adverts of r can come from a: IPv6 adverts come from a
// link-local address (RFC 9568 §5.1.2.1), unless they go to peers that have
// none.
func reaches(r Router, a netip.Addr) bool {
	if r.Family == IPv4 {
		return true
	}
	local := len(r.Unicast) == 0 || r.Unicast[0].IsLinkLocalUnicast()
	return a.IsLinkLocalUnicast() == local
}

// encode makes the packets that a router sends as long as nothing changes.
func (n *Node) encode(r *router) {
	r.adverts, r.releases = nil, nil
	if !r.src.IsValid() {
		return
	}
	to := r.Unicast
	if len(to) == 0 {
		to = []netip.Addr{group(r.Family)}
	}
	for _, dst := range to {
		if dst == r.src {
			continue // every node may list all of them
		}
		r.adverts = append(r.adverts, n.packet(r, dst, r.prio.Effective()))
		r.releases = append(r.releases, n.packet(r, dst, 0))
	}
}

// Group is the multicast group that adverts from src are sent to.
func Group(src netip.Addr) netip.Addr { return group(familyOf(src)) }

func group(f Family) netip.Addr {
	if f == IPv4 {
		return group4
	}
	return group6
}

// packet makes the advert with one priority for one destination. A valid
// Router makes a valid advert.
func (n *Node) packet(r *router, dst netip.Addr, priority uint8) Send {
	a := r.advert(priority, n.links[r.Interface].MTU)
	return Send{Key: r.Key, Gossip: r.Gossip, Interface: r.Interface, Src: r.src, Dst: dst, Priority: priority, Packet: a.encode(r.src, dst)}
}

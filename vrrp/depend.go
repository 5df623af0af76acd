package vrrp

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// tracked is what is known of one Router.Track.
type tracked struct {
	name string    // the interface
	up   bool      // as it counts
	at   time.Time // when a change that has been seen begins to count; zero for none
}

// refresh follows a change of links or configuration: it finds sources,
// priorities and faults again, and starts, faults or revives the routers for
// which that makes a difference.
func (n *Node) refresh() {
	virtual := map[netip.Addr]bool{}
	for _, r := range n.routers {
		for _, p := range r.Addresses {
			virtual[p.Addr()] = true
		}
	}
	for _, r := range n.routers {
		src, mtu := source(r.Router, n.links[r.Interface], virtual), n.links[r.Interface].MTU
		if src != r.src || mtu != r.mtu {
			r.src, r.mtu = src, mtu
			n.encode(r)
		}
	}
	n.reprioritize()
	for _, r := range slices.Clone(n.routers) { // a router may stop
		n.reconsider(r)
	}
}

// reconsider changes the state of a router whose faults have come or gone.
func (n *Node) reconsider(r *router) {
	fault, text := n.fault(r)
	switch {
	case r.state == Stopped:
		n.start(r, Startup)
	case fault == NoCause && r.state == Fault:
		n.start(r, recovery(r.fault))
	case fault == NoCause || r.state == Fault:
	case fault == LinkDown || fault == NoSource || fault == NoGossip || r.state == Backup:
		n.becomeFault(r, fault, text)
	case r.state == Master: // it still can hand over
		n.becomeLeaving(r, fault)
	}
}

// recovery is the cause by which a fault ends.
func recovery(fault Cause) Cause {
	switch fault {
	case TrackerDown:
		return TrackerUp
	case SyncGroup:
		return SyncGroup
	case NoGossip:
		return Startup
	}
	return LinkUp
}

// fault says what keeps a router from taking part, or NoCause.
func (n *Node) fault(r *router) (Cause, string) {
	if cause, text := n.ownFault(r); cause != NoCause {
		return cause, text
	}
	for _, m := range n.others(r) {
		if cause, text := n.ownFault(m); cause != NoCause {
			return SyncGroup, fmt.Sprintf("sync group %s: %v: %s", r.Group, m.Key, text)
		}
	}
	return NoCause, ""
}

// ownFault is fault without the sync group.
func (n *Node) ownFault(r *router) (Cause, string) {
	switch {
	case !n.links[r.Interface].Up:
		return LinkDown, r.Interface + " is absent or down"
	case !r.src.IsValid():
		return NoSource, fmt.Sprintf("%s has no %v address to send from", r.Interface, r.Family)
	case r.Gossip != 0 && n.links[r.Interface].Gossip != "":
		return NoGossip, n.links[r.Interface].Gossip
	case r.Fault != "":
		return TrackerDown, r.Fault
	}
	for i, t := range r.Track {
		if t.Weight == 0 && r.track[i].up == t.Reverse {
			return TrackerDown, fmt.Sprintf("track %s: %s", t.Interface, map[bool]string{false: "absent or down", true: "up"}[t.Reverse])
		}
	}
	return NoCause, ""
}

// debounce lets changes of tracked interfaces count that have lasted.
func (n *Node) debounce() {
	for _, r := range n.routers {
		if slices.ContainsFunc(r.track, func(t tracked) bool { return n.due(t.at) }) {
			n.refresh()
			return
		}
	}
}

// observe brings r.track up to date with the links.
func (n *Node) observe(r *router) {
	if !slices.EqualFunc(r.track, r.Track, func(have tracked, want TrackInterface) bool { return have.name == want.Interface }) {
		r.track = n.follow(r.Track, r.track)
	}
	for i, t := range r.Track {
		tr, up := &r.track[i], n.links[t.Interface].Up
		delay := t.DownDelay
		if up {
			delay = t.UpDelay
		}
		switch {
		case up == tr.up:
			tr.at = time.Time{}
		case tr.at.IsZero() && delay > 0:
			tr.at = n.now.Add(delay)
		case tr.at.IsZero() || n.due(tr.at):
			tr.up, tr.at = up, time.Time{}
		}
	}
}

// follow is what is known of interfaces that are tracked from now on: what was
// known of them before, or else their state, which counts at once.
func (n *Node) follow(list []TrackInterface, before []tracked) []tracked {
	now := make([]tracked, len(list))
	for i, t := range list {
		now[i] = tracked{name: t.Interface, up: n.links[t.Interface].Up}
		if j := slices.IndexFunc(before, func(b tracked) bool { return b.name == t.Interface }); j >= 0 {
			now[i] = before[j]
		}
	}
	return now
}

// reprioritize computes every router's priority. Those of a sync group share
// the lowest, so that two nodes never each win a part of it for ever.
func (n *Node) reprioritize() {
	lowest := map[string]*router{}
	before := make([]Priority, len(n.routers))
	for i, r := range n.routers {
		n.observe(r)
		before[i], r.prio = r.prio, r.own()
		if low := lowest[r.Group]; r.Group != "" && r.retired == NoCause &&
			(low == nil || r.prio.Effective() < low.prio.Effective()) {
			lowest[r.Group] = r
		}
	}
	for i, r := range n.routers {
		if low := lowest[r.Group]; low != nil && low != r && r.prio.Base != 255 {
			if delta := int(low.own().Effective()) - r.prio.sum(); delta != 0 {
				r.prio.Terms = append(r.prio.Terms, Term{Reason: fmt.Sprintf("sync group %s: %v", r.Group, low.Key), Delta: delta})
			}
		}
		if !reflect.DeepEqual(before[i], r.prio) {
			n.encode(r)
		}
	}
}

// own is the router's priority with the terms of tracked interfaces.
func (r *router) own() Priority {
	p := Priority{Base: r.Priority.Base, Terms: slices.Clone(r.Priority.Terms)}
	for i, t := range r.Track {
		switch {
		case t.Weight > 0 && r.track[i].up:
			p.Terms = append(p.Terms, Term{Reason: "track " + t.Interface + " up", Delta: t.delta()})
		case t.Weight < 0 && !r.track[i].up:
			p.Terms = append(p.Terms, Term{Reason: "track " + t.Interface + " down", Delta: t.delta()})
		}
	}
	return p
}

// restoreSpacing is the least time between repairs of a router's addresses, so
// that we do not race somebody who removes them again and again.
const restoreSpacing = time.Second

// restore puts back the addresses of ours that somebody else has taken from an
// interface, as its last Link shows. A device of ours that somebody else has
// taken down has none that count.
func (n *Node) restore(iface string) {
	link := n.links[iface]
	for _, r := range n.routers {
		if r.Home() != iface || r.state != Master {
			continue
		}
		var lost []netip.Prefix
		for _, p := range r.Addresses {
			if r.present[p] && (!slices.Contains(link.Addresses, p) || link.Disabled && r.Device != "") {
				lost = append(lost, p)
			}
		}
		r.restoring = len(lost) > 0
		if !r.restoring || !n.due(r.restoreAt) && !r.restoreAt.IsZero() {
			continue
		}
		r.restoreAt, r.restoring = n.now.Add(restoreSpacing), false
		r.counters.Restored += uint64(len(lost))
		n.out = append(n.out, Lost{Key: r.Key, Interface: iface, Addresses: lost})
		n.add(r, lost)
		n.announceChange(r, lost)
	}
}

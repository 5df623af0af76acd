package vrrp

import (
	"fmt"
	"slices"
	"time"
)

// receive judges a packet and hands it to the router it is meant for.
func (n *Node) receive(e Received) {
	packet, ok := e.advert()
	if !ok {
		n.strays.count(DropAH)
		return
	}
	a, err := ParseAdvert(packet, e.Src, e.Dst)
	if err == nil {
		n.hear(e, a)
		return
	}
	reason := err.(DropReason)
	var routers []*router
	if len(packet) > 1 { // if the VRID is not what was wrong, it tells whom it concerns
		routers = n.wire[wireKey{e.Interface, familyOf(e.Src), packet[1], e.Gossip}]
	}
	if len(routers) == 0 {
		n.strays.count(reason)
	}
	for _, r := range routers {
		n.refuse(r, doubt{DropReason: reason}, e)
	}
}

func (n *Node) hear(e Received, a Advert) {
	routers := n.wire[wireKey{e.Interface, familyOf(e.Src), a.VRID, e.Gossip}]
	if len(routers) == 0 {
		n.strays.count(DropVRID)
	}
	for _, r := range routers {
		if d := n.doubts(r, e, a); d.DropReason != 0 {
			n.refuse(r, d, e)
			continue
		}
		r.counters.Received++
		r.counters.Checksums.count(a, r.Family)
		from := Peer{Addr: e.Src, Priority: a.Priority, Name: e.Node}
		switch r.state {
		case Backup:
			n.backupHears(r, from, a.Interval)
		case Master:
			n.masterHears(r, from, a.Interval)
		case Leaving:
			n.leavingHears(r, from, a.Interval)
		}
		n.bound = earliest(n.bound, r.deadline())
	}
}

// refuse counts an advert that is not listened to, and reports the first for
// each reason, and again when there was none for a while: a router that is deaf
// for its peers makes two owners.
func (n *Node) refuse(r *router, d doubt, e Received) {
	r.counters.Dropped.count(d.DropReason)
	r.refusal = &Refusal{At: n.now, Reason: d.DropReason, Addr: e.Src, Text: d.text}
	if n.due(r.deafTo.tell(d.DropReason, n.now)) {
		n.out = append(n.out, Refused{Key: r.Key, Reason: d.DropReason, Addr: e.Src, TTL: e.TTL, Text: d.text})
	}
}

// doubts says why a router does not listen to an advert, or nothing.
func (n *Node) doubts(r *router, e Received, a Advert) doubt {
	reason := r.judge(e, a)
	switch reason {
	case 0:
		return n.authenticate(r, e, a)
	case DropTTL:
		return doubt{reason, fmt.Sprintf("arrives with TTL %d", e.TTL)}
	case DropVersion:
		return doubt{reason, fmt.Sprintf("speaks version %v, and this router version %v", a.Version, r.Version)}
	case DropInterval:
		return doubt{reason, fmt.Sprintf("advertises every %v, and this router every %v", a.Interval, r.AdvertInterval)}
	}
	return doubt{DropReason: reason}
}

// judge is what doubts sees without looking at the authentication.
func (r *router) judge(e Received, a Advert) DropReason {
	unicast := len(r.Unicast) > 0
	least := hopLimit
	if unicast && r.MinTTL != 0 {
		least = int(r.MinTTL)
	}
	switch {
	case e.TTL < least:
		return DropTTL
	case e.Src == r.src:
		return DropOwnAddress
	case e.Dst.IsMulticast() == unicast:
		return DropDestination
	case unicast && !slices.Contains(r.Unicast, e.Src):
		return DropNotPeer
	case a.Version != r.Version:
		return DropVersion
	case a.Version == VRRPv2 && a.Interval != r.AdvertInterval: // RFC 3768 §7.1
		return DropInterval
	}
	return 0
}

// backupHears is RFC 9568 §6.4.2.
func (n *Node) backupHears(r *router, from Peer, interval time.Duration) {
	switch {
	case from.Priority == 0 && r.peer.Priority > 0 && r.peer.Addr != from.Addr:
		return // not the owner: a loser of a split, or one that was stalled
	case from.Priority == 0:
		r.released, r.downFrom, r.claim = true, n.now, nil
	case n.accepts(r, from.Priority):
		r.released, r.downFrom, r.graced, r.claim = false, n.now, false, nil
		r.masterInterval = interval
		n.pull(r)
		n.hold(r)
		n.disclaim(r)
	default: // lower, and we preempt: the timer runs on
	}
	r.peer = from
}

// accepts says whether a backup acknowledges an owner of that priority.
func (n *Node) accepts(r *router, priority uint8) bool {
	own := r.prio.Effective()
	if priority >= own || r.Preempt == PreemptNever && own != 255 {
		r.preemptAt = time.Time{}
		return true
	}
	if r.preemptAt.IsZero() { // as keepalived: the delay starts with the first lower advert
		r.preemptAt = n.now
		if r.Preempt == PreemptDelay {
			r.preemptAt = n.now.Add(r.PreemptDelay)
		}
	}
	return n.now.Before(r.preemptAt)
}

// masterHears is RFC 9568 §6.4.3.
func (n *Node) masterHears(r *router, from Peer, interval time.Duration) {
	own := r.prio.Effective()
	r.peer = from
	switch {
	case from.Priority == 0: // the network may have believed it until now
		n.prompt(r)
		n.repairSoon(r)
	case from.Priority > own:
		n.yield(r, interval, HigherPriority, fmt.Sprintf("%v advertises %d; I have %s", from, from.Priority, r.prio.text()))
	case from.Priority == own && from.Addr.Compare(r.src) > 0 && n.decides(r):
		n.yield(r, interval, HigherAddress, fmt.Sprintf("%v advertises %d too, and I am %v", from, from.Priority, r.src))
	default:
		n.prompt(r)
		n.contested(r, from, interval)
		n.reassert(r, from)
	}
}

// yield gives way to a better owner, which has announced itself already. Our
// last advert tells it that the network may have believed us until now: it
// announces itself once more.
func (n *Node) yield(r *router, interval time.Duration, why Cause, text string) {
	n.becomeBackup(r, why, text)
	r.masterInterval = interval
	n.advertise(r)
	n.pull(r)
}

// prompt answers an advert with ours.
func (n *Node) prompt(r *router) {
	if n.due(r.promptAt) {
		r.promptAt = n.now.Add(promptSpacing)
		n.advertise(r)
	}
}

// reassert repairs what a rival's announcements have done to the network: at
// once, or as soon as that may be, for the last word must be ours. A rival that
// took over at the same moment announces itself until it hears us, and then
// sends a last advert, which brings us here.
func (n *Node) reassert(r *router, rival Peer) {
	if n.due(r.rivalTellAt) {
		r.rivalTellAt = n.now.Add(rivalTellSpacing)
		r.counters.Rivals++
		n.out = append(n.out, Rival{Key: r.Key, Addr: rival.Addr, Priority: rival.Priority, Node: rival.Name, Own: r.prio.Effective()})
	}
	n.repairSoon(r)
}

// repairSoon announces anew, but not too often.
func (n *Node) repairSoon(r *router) {
	if !n.due(r.rivalAt) {
		r.repairAt = r.rivalAt
		return
	}
	n.repair(r)
}

// repair announces anew, as soon as the node's allowance has it.
func (n *Node) repair(r *router) {
	if wait := n.allow(r); wait > 0 {
		r.repairAt = n.now.Add(max(wait, time.Millisecond))
		return
	}
	r.rivalAt, r.repairAt = n.now.Add(rivalSpacing), time.Time{}
	r.announce.restart(r.Addresses, n.now)
	n.announce(r)
}

// leavingHears waits for anybody who owns the addresses now, of whatever
// priority: it has announced itself before it adverts. Who comes late may have
// been there all the time, cut off from us, and its announcements from those who
// believe us: it is told once more that we give up, and announces itself again.
func (n *Node) leavingHears(r *router, from Peer, interval time.Duration) {
	if from.Priority == 0 || !r.answering {
		return
	}
	if n.yields(r, from) {
		return
	}
	r.peer = from
	if n.now.Sub(r.since) > r.AdvertInterval {
		n.release(r)
	}
	if fault, text := n.fault(r); fault != NoCause && r.retired == NoCause {
		n.change(r, Fault, fault, fmt.Sprintf("%s; %v has taken over with %d", text, from, from.Priority))
		r.fault = fault
		n.silence(r)
		return
	}
	if r.retired == NoCause {
		n.becomeBackup(r, PeerTookOver, fmt.Sprintf("%v has taken over with %d; I have %s", from, from.Priority, r.prio.text()))
		r.masterInterval = interval
		return
	}
	n.silence(r)
	r.leaveBy = time.Time{}
}

// yields says whether an advert may be the last word of one that yields to an
// advert that we sent just before we gave up: from a worse one, within a round
// trip, and before its skew time, from when on it can be a take-over. An owner
// will say it again.
func (n *Node) yields(r *router, from Peer) bool {
	worse := from.Priority < r.spoke || from.Priority == r.spoke && from.Addr.Less(r.src)
	return worse && n.now.Sub(r.spokeAt) < promptSpacing && n.now.Sub(r.since) < r.skewOf(from.Priority)
}

// advertise sends our advert.
func (n *Node) advertise(r *router) {
	if own := r.prio.Effective(); own > r.spoke || n.now.Sub(r.spokeAt) >= promptSpacing {
		r.spoke = own
	}
	r.spokeAt = n.now
	n.send(r, r.adverts)
}

// release sends our advert with priority 0.
func (n *Node) release(r *router) { n.send(r, r.releases) }

func (n *Node) send(r *router, adverts []Send) {
	for _, s := range n.sign(r, adverts) {
		n.then = append(n.then, s)
	}
	r.counters.Sent += uint64(len(adverts))
}

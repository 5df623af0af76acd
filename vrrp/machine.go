package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// router is one virtual router at run time. Times that are zero are timers
// that do not run.
type router struct {
	Router
	state   State
	since   time.Time // in this state
	cause   Cause     // of the last transition
	fault   Cause     // of the last Fault
	text    string    // of the last transition
	retired Cause     // why it is not wanted any more: it stops instead of changing into Backup or Master

	src   netip.Addr // our source address; invalid in Fault
	mtu   int        // of the interface, as in the adverts
	prio  Priority   // Router.Priority, and what the node itself adds to it
	peer  Peer       // whom we heard last, in whatever role
	track []tracked  // of Router.Track, in its order

	// Backup
	masterInterval time.Duration // Master_Adver_Interval, learned from accepted adverts
	downFrom       time.Time     // when the down timer was started
	released       bool          // the down timer is the skew time only
	graced         bool          // the down timer was restarted because we were late
	preemptAt      time.Time     // PreemptDelay: from when on a lower priority is not accepted
	notBefore      time.Time     // until when it listens only
	believed       bool          // we were the owner when we stalled, and no other was told since
	claim          *claim        // the down timer has fired, and the sync group is waited for

	// Master and Leaving
	advertAt    time.Time // next regular advert
	spoke       uint8     // the highest priority in our last adverts, the last sent
	spokeAt     time.Time // at this time
	promptAt    time.Time // from when on we may answer an advert with an advert
	rivalAt     time.Time // from when on a rival makes us announce again at once
	repairAt    time.Time // when a rival that came earlier does
	rivalTellAt time.Time // from when on a rival is told of again
	contest     Contest   // the last rival
	split       bool      // and it does not hear us
	tieFrom     time.Time // since when another owner has our priority, and
	tieAt       time.Time // when that was heard last; see decides
	leaveBy     time.Time // Leaving: until when we wait for a new owner
	restoreAt   time.Time // from when on addresses that were taken away are put back
	restoring   bool      // and some are missing

	present   map[netip.Prefix]bool // addresses of ours that are on the interface
	answering bool                  // and answer ARP and ND
	holdUntil time.Time             // they stay until then, silent
	announce  schedule

	adverts, releases []Send // as we send them now; one, or one for each peer
	counters          Counters
	memory            memory   // of authenticated adverts
	refusal           *Refusal // the last one; nil when there was none
	deafTo            refusals
}

// Peer is another node as its last advert showed it.
type Peer struct {
	Addr     netip.Addr `json:"addr"`
	Priority uint8      `json:"priority"`
	Name     string     `json:"name,omitempty"` // of the node, where the transport knows it
}

// String is the node by name and address, as far as they are known.
func (p Peer) String() string {
	if p.Name != "" {
		return fmt.Sprintf("%s (%v)", p.Name, p.Addr)
	}
	return p.Addr.String()
}

func (r *router) wireKey() wireKey { return wireKeyOf(r.Router) }

// skew is Skew_Time (RFC 9568 §6.1): the higher our priority, the shorter.
// VRRPv2 measures it in seconds, whatever the interval (RFC 3768 §6.1).
func (r *router) skew() time.Duration { return r.skewOf(r.prio.Effective()) }

// skewOf is the skew time of a node with that priority.
func (r *router) skewOf(priority uint8) time.Duration {
	if r.Version == VRRPv2 {
		return (256 - time.Duration(priority)) * time.Second / 256
	}
	return (256 - time.Duration(priority)) * r.masterInterval / 256
}

// downInterval is Master_Down_Interval (RFC 9568 §6.1, Active_Down_Interval).
func (r *router) downInterval() time.Duration {
	missing := time.Duration(r.DownAdverts)
	if missing == 0 {
		missing = 3
	}
	return missing*r.masterInterval + r.skew()
}

// downAt is when the down timer of a backup fires. It is computed, not stored,
// so that a new priority takes effect on a running timer.
func (r *router) downAt() time.Time {
	at := r.downFrom.Add(r.downInterval())
	if r.released {
		at = r.downFrom.Add(r.skew())
	}
	if at.Before(r.notBefore) {
		return r.notBefore
	}
	return at
}

// leaveLimit is how long a leaving owner waits for another. Should the advert
// with priority 0 get lost, the others wait for a whole down interval, which
// is less than four adverts.
func (r *router) leaveLimit() time.Duration {
	return min(4*r.AdvertInterval+100*time.Millisecond, leaveLimit)
}

// deadline is when the next timer of the router fires.
func (r *router) deadline() time.Time {
	t := earliest(r.holdUntil, r.announce.at)
	for _, tr := range r.track {
		t = earliest(t, tr.at)
	}
	switch r.state {
	case Backup:
		if r.claim == nil {
			return earliest(t, r.downAt())
		}
	case Master:
		if r.restoring {
			t = earliest(t, r.restoreAt)
		}
		return earliest(t, earliest(r.advertAt, r.repairAt))
	case Leaving:
		return earliest(t, r.leaveBy)
	}
	return t
}

// tick acts on the timers of a router that have run out.
func (n *Node) tick(r *router) {
	if n.due(r.holdUntil) {
		n.removeAll(r)
		if r.state == Leaving {
			n.stop(r, fmt.Sprintf("%v with priority %d has taken over", r.peer, r.peer.Priority))
			return
		}
	}
	switch {
	case r.state == Backup && r.claim == nil && n.due(r.downAt()):
		n.masterDown(r)
	case r.state == Master && n.due(r.advertAt):
		n.advertise(r)
		r.advertAt = r.advertAt.Add(r.AdvertInterval)
		if n.due(r.advertAt) {
			// We are late: keep the distance, do not catch up.
			r.advertAt = n.now.Add(r.AdvertInterval)
		}
	case r.state == Leaving && n.due(r.leaveBy):
		n.nobodyTookOver(r)
	}
	if r.restoring && n.due(r.restoreAt) {
		n.restore(r.Home())
	}
	switch {
	case n.due(r.repairAt):
		n.repair(r)
	case n.due(r.announce.at):
		n.announce(r)
	}
}

// masterDown acts on the down timer. When we come much too late, we were
// stalled, and so may have been our hearing: a paused virtual machine has not
// received what was sent meanwhile. Then the silence proves nothing, and the
// timer is started once more.
func (n *Node) masterDown(r *router) {
	if late := n.now.Sub(r.downAt()); late > r.downInterval() && !r.graced {
		r.counters.Stalls++
		r.graced, r.released, r.downFrom = true, false, n.now
		return
	}
	own := r.prio.text()
	switch {
	case r.prio.Effective() == 255 && !r.peer.Addr.IsValid():
		n.takeOver(r, Owner, ownerText)
	case r.released:
		n.takeOver(r, PeerReleased, fmt.Sprintf("%v gave up; no other owner within %v; I have %s", r.peer, r.skew(), own))
	case n.due(r.preemptAt):
		n.takeOver(r, LowerPriority, fmt.Sprintf("%v advertises %d; I have %s", r.peer, r.peer.Priority, own))
	case r.peer.Addr.IsValid():
		n.takeOver(r, PeerTimedOut, fmt.Sprintf("no advert from %v (priority %d) for %v; I have %s", r.peer, r.peer.Priority, n.now.Sub(r.downFrom), own))
	default:
		n.takeOver(r, PeerTimedOut, fmt.Sprintf("nobody advertised for %v; I have %s", n.now.Sub(r.downFrom), own))
	}
}

// change makes a transition and leaves no timer of the old state running.
func (n *Node) change(r *router, to State, why Cause, text string) {
	n.out = append(n.out, Transition{Key: r.Key, At: n.now, From: r.state, To: to, Cause: why, Priority: r.prio.Effective(), Text: text})
	r.state, r.since, r.cause, r.text = to, n.now, why, text
	r.counters.Transitions++
	n.served, n.bounded = time.Time{}, false
	r.released, r.graced, r.preemptAt, r.notBefore, r.claim = false, false, time.Time{}, time.Time{}, nil
	r.advertAt, r.repairAt, r.leaveBy, r.restoring, r.announce = time.Time{}, time.Time{}, time.Time{}, false, schedule{}
}

// start brings a router to life that has just been configured, or that was
// faulty. It listens before it takes over, unless it is the address owner.
func (n *Node) start(r *router, why Cause) {
	if fault, text := n.fault(r); fault != NoCause {
		n.change(r, Fault, why, text)
		r.fault = fault
		n.removeAll(r)
		return
	}
	hold := map[Cause]time.Duration{Startup: r.StartupDelay, LinkUp: r.LinkUpDelay}[why]
	owner := r.prio.Effective() == 255 && hold == 0
	if owner && n.waitsFor(r) == nil {
		n.takeOver(r, Owner, ownerText)
		return
	}
	r.masterInterval = r.AdvertInterval
	n.becomeBackup(r, why, fmt.Sprintf("listening for %v before taking over; I have %s", max(hold, r.downInterval()), r.prio.text()))
	r.notBefore = n.now.Add(hold)
	n.holdInherited(r)
	if owner {
		n.takeOver(r, Owner, ownerText)
	}
}

// ownerText is why an address owner takes over.
const ownerText = "priority 255 waits for nobody"

// becomeFault takes the addresses away at once: where the link is gone another
// node takes over.
func (n *Node) becomeFault(r *router, why Cause, text string) {
	if r.retired != NoCause {
		n.stop(r, text)
		return
	}
	n.change(r, Fault, why, text)
	r.fault = why
	n.removeAll(r) // there must not be two when it comes back
	r.peer = Peer{}
}

// becomeBackup listens. Addresses that are here fall silent and are held a
// little longer.
func (n *Node) becomeBackup(r *router, why Cause, text string) {
	n.change(r, Backup, why, text)
	r.downFrom = n.now
	n.silence(r)
}

// silence stops answering for addresses that someone else answers for now.
func (n *Node) silence(r *router) {
	if r.answering {
		r.answering, n.answerStale = false, true
		r.holdUntil = n.now.Add(holdAfterLoss)
	}
}

// becomeMaster adds the addresses, lets them answer, announces them, and only
// then advertises: a leaving owner that hears the advert may fall silent.
func (n *Node) becomeMaster(r *router, why Cause, text string) {
	n.change(r, Master, why, text)
	r.masterInterval = r.AdvertInterval
	r.answering, r.holdUntil, r.believed = true, time.Time{}, false
	n.add(r, r.Addresses)
	r.announce.restart(r.Addresses, n.now)
	n.announce(r)
	n.advertise(r)
	r.advertAt = n.now.Add(r.AdvertInterval)
	r.promptAt = n.now
	r.rivalAt = n.now.Add(r.announcing().burst()) // the first burst is under way
	r.rivalTellAt = r.advertAt                    // the node we took over from may still have an advert under way
}

// becomeLeaving gives the addresses up, and serves on until somebody has them.
// It announces no more: the next announcement is the new owner's.
func (n *Node) becomeLeaving(r *router, why Cause) {
	limit := r.leaveLimit()
	n.change(r, Leaving, why, fmt.Sprintf("priority 0 sent; serving until another owner is heard, for at most %v", limit))
	n.release(r)
	r.leaveBy = n.now.Add(limit)
}

// nobodyTookOver ends a hand-over that has failed.
func (n *Node) nobodyTookOver(r *router) {
	text := fmt.Sprintf("nobody took over within %v", r.leaveLimit())
	if r.retired != NoCause {
		if n.keep {
			r.leave()
			text += "; the addresses stay for the next life"
		}
		n.stop(r, text)
		return
	}
	if fault, why := n.fault(r); fault != NoCause {
		n.becomeFault(r, fault, why+"; "+text)
		return
	}
	if waiting := n.waitsFor(r); waiting != nil {
		n.becomeBackup(r, SyncGroup, fmt.Sprintf("%s; sync group %s waits for %v", text, r.Group, waiting.Key))
		return
	}
	n.takeOver(r, HandOverRefused, text)
}

// retire ends a router that is not wanted any more: at once where it owns
// nothing, otherwise after a hand-over.
func (n *Node) retire(r *router, why Cause, atOnce bool) {
	if r.retired == NoCause {
		r.retired = why
	}
	held := !r.holdUntil.IsZero()
	switch {
	case r.state == Fault:
		n.stop(r, "was faulty: "+r.text)
	case r.state == Backup && (atOnce || !held):
		n.stop(r, "was backup")
	case r.state == Backup:
		n.change(r, Leaving, why, "still serving frames on their way here")
	case r.state == Master && !atOnce:
		n.becomeLeaving(r, why)
	case r.state == Master:
		n.release(r)
		n.stop(r, "priority 0 sent, nobody waited for")
	case atOnce: // Leaving
		n.stop(r, "nobody waited for any more")
	}
}

// stop ends a router for good.
func (n *Node) stop(r *router, text string) {
	n.change(r, Stopped, r.retired, text)
	n.removeAll(r)
	i, _ := n.find(r.Key)
	n.routers = append(n.routers[:i], n.routers[i+1:]...)
	n.reindex()
}

package vrrp

import (
	"fmt"
	"time"
)

// A node that was stopped, throttled or starved comes back with clocks that
// have run out long ago, and with the belief of then. Two things see to it that
// this harms nobody: what had arrived meanwhile is heard before any timer acts
// (Tick says so), and a master that comes too late listens before it speaks.

// wakeAll wakes every router, and says until when none needs it again.
func (n *Node) wakeAll() time.Time {
	until := n.now.Add(time.Minute)
	for _, r := range n.routers {
		n.wake(r)
		if r.state == Master {
			until = earliest(until, r.advertAt.Add(r.downInterval()))
		}
	}
	return until
}

// wake makes a master that we have not served for longer than its down
// interval a backup: every peer's down timer has fired since, so that somebody
// else is the owner, if there is anybody. Its addresses fall silent, but stay
// until it has listened; alone in the network it goes on where it was. An
// address owner waits for nobody.
func (n *Node) wake(r *router) {
	if r.state != Master || r.prio.Effective() == 255 {
		return
	}
	late := n.now.Sub(r.advertAt)
	if late <= r.downInterval() {
		return
	}
	r.counters.Stalls++
	n.becomeBackup(r, Stalled, fmt.Sprintf("did not run for %v: another owner is likely; listening for %v; I have %s",
		late.Round(time.Millisecond), r.downInterval(), r.prio.text()))
	r.peer, r.believed = Peer{}, true
	r.holdUntil = r.downAt().Add(holdAfterLoss)
}

// hold shortens the time for which silent addresses stay, once an owner is
// heard.
func (n *Node) hold(r *router) {
	if limit := n.now.Add(holdAfterLoss); r.holdUntil.After(limit) {
		r.holdUntil = limit
	}
}

// disclaim lets an owner that is heard after a stall announce itself once more:
// whoever has not heard its announcements takes us for the owner still. It gives
// up what is not ours any more: an advert as of one that yields could make
// somebody yield who has taken over since what we hear was sent.
func (n *Node) disclaim(r *router) {
	if r.believed {
		r.believed = false
		n.release(r)
	}
}

// Limit is when somebody who watches this node should take it for stalled and
// silence its addresses: one advert after an advert was due, or half-way to
// when a peer's down timer fires; or when a leaving owner should have given up
// waiting. false while nothing is at stake, since no router answers.
func (n *Node) Limit() (time.Time, bool) {
	var limit time.Time
	for _, r := range n.routers {
		patience := min(r.AdvertInterval, (r.downInterval()-r.AdvertInterval)/2)
		switch {
		case r.state == Master:
			limit = earliest(limit, r.advertAt.Add(patience))
		case r.state == Leaving && r.answering:
			limit = earliest(limit, r.leaveBy.Add(patience))
		}
	}
	return limit, !limit.IsZero()
}

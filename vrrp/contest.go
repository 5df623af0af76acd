package vrrp

import (
	"fmt"
	"time"
)

// Contest is another node that advertises what this one owns, and to which
// this one does not give way.
type Contest struct {
	Peer
	From time.Time `json:"from"`
	Last time.Time `json:"last"`

	interval time.Duration // of its adverts
}

// contested takes in an advert of a rival. One that hears us gives way at
// once; one that goes on for a whole down interval does not hear us, and part
// of the network believes it: the brain is split.
func (n *Node) contested(r *router, rival Peer, interval time.Duration) {
	c := &r.contest
	if c.Addr != rival.Addr || !n.contests(r) {
		*c, r.split = Contest{From: n.now}, false
	}
	c.Peer, c.Last, c.interval = rival, n.now, interval
	if !r.split && n.now.Sub(c.From) > r.downInterval() {
		r.split = true
		r.counters.SplitBrains++
	}
}

// contests says whether a contest is under way. A rival may advertise more
// seldom than we do.
func (n *Node) contests(r *router) bool {
	return n.now.Sub(r.contest.Last) <= max(r.downInterval(), 3*r.contest.interval)
}

// splitText says with whom a master shares its addresses against both wills, or
// "".
func (n *Node) splitText(r *router) string {
	if r.state != Master || !r.split || !n.contests(r) {
		return ""
	}
	c := r.contest
	return fmt.Sprintf("; SPLIT: %v advertises %d and does not hear me, for %v", c.Addr, c.Priority, c.Last.Sub(c.From).Round(time.Second))
}

// lastContest is the last rival, as Status tells it; nil for none.
func (r *router) lastContest() *Contest {
	if r.contest.From.IsZero() {
		return nil
	}
	c := r.contest
	return &c
}

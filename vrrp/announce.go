package vrrp

import (
	"net/netip"
	"time"
)

// The announcement schedule, in gratuitous ARP requests or unsolicited
// neighbor advertisements per address. The first two numbers are keepalived's
// defaults; the burst is spread so that no queue has to take it whole.
const (
	announceBurst   = 5                     // at take-over, and once more after announceAgain
	announceAgain   = 5 * time.Second       // for caches that were unreachable or late, and after rivals
	announceSpacing = 10 * time.Millisecond // within a burst
	announceRefresh = time.Minute           // for ever after: switches forget silent addresses in 5 minutes
)

// rivalSpacing is the least time between repairs of what rivals announce, so
// that a spoofer cannot make us a storm. It is shorter than holdAfterLoss: a
// rival that gives way still serves when the network hears us again.
const rivalSpacing = 200 * time.Millisecond

// schedule says when addresses are announced next.
type schedule struct {
	addrs []netip.Prefix // to announce in the two bursts; the refresh is for all
	start time.Time
	done  int       // announcements made since start
	at    time.Time // of the next
}

// announceOffset is when, after its start, a schedule makes its i-th
// announcement.
func announceOffset(i int) time.Duration {
	switch {
	case i < announceBurst:
		return time.Duration(i) * announceSpacing
	case i < 2*announceBurst:
		return announceAgain + time.Duration(i-announceBurst)*announceSpacing
	}
	return announceAgain + time.Duration(i-2*announceBurst+1)*announceRefresh
}

// refreshing says that both bursts are over.
func (s *schedule) refreshing() bool { return s.done >= 2*announceBurst }

// restart begins the schedule for addrs, due now.
func (s *schedule) restart(addrs []netip.Prefix, now time.Time) {
	*s = schedule{addrs: addrs, start: now, at: now}
}

// next sets the time of the next announcement. Those we are too late for are
// left out.
func (s *schedule) next(now time.Time) {
	for !s.at.After(now) {
		s.done++
		s.at = s.start.Add(announceOffset(s.done))
	}
}

// announce makes the announcement that is due.
func (n *Node) announce(r *router) {
	addrs := r.announce.addrs
	if r.announce.refreshing() {
		addrs = r.Addresses
	}
	r.announce.next(n.now)
	r.counters.Announced += uint64(len(addrs))
	n.then = append(n.then, Announce{Key: r.Key, Interface: r.Interface, Addresses: addrs})
}

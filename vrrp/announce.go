package vrrp

import (
	"net/netip"
	"time"
)

// Announcing is how often a master announces its addresses, in gratuitous ARP
// requests or unsolicited neighbor advertisements per address. The zero value
// means DefaultAnnouncing.
type Announcing struct {
	Repeat  int           `json:"repeat"`  // of a burst, at take-over and once more, 1..60
	Delay   time.Duration `json:"delay"`   // until the second burst; 0 means there is none
	Refresh time.Duration `json:"refresh"` // between single announcements ever after; 0 means none
}

// DefaultAnnouncing is as keepalived's, and refreshes besides: switches forget
// silent addresses in 5 minutes. The second burst is for caches that were
// unreachable or late.
var DefaultAnnouncing = Announcing{Repeat: 5, Delay: 5 * time.Second, Refresh: time.Minute}

const (
	// announceSpacing spreads a burst, so that no queue has to take it whole.
	announceSpacing = 10 * time.Millisecond

	// rivalSpacing is the least time between repairs of what rivals announce,
	// so that a spoofer cannot make us a storm. It is shorter than
	// holdAfterLoss: a rival that gives way still serves when the network
	// hears us again.
	rivalSpacing = 200 * time.Millisecond

	// rivalTellSpacing is the least time between reports of rivals.
	rivalTellSpacing = 5 * time.Second

	// allowanceRate and allowanceMax are the token bucket of a node, in
	// announcements per second and in announcements: what rivals of many
	// routers, or of many addresses, can make it send.
	allowanceRate = 1000
	allowanceMax  = 2000
)

// schedule says when addresses are announced next.
type schedule struct {
	addrs []netip.Prefix // to announce in the two bursts; the refresh is for all
	start time.Time
	done  int       // announcements made since start
	at    time.Time // of the next
}

// offset is when, after its start, a schedule makes its i-th announcement;
// false when it makes no more.
func (a Announcing) offset(i int) (time.Duration, bool) {
	bursts := a.bursts()
	switch {
	case i < a.Repeat:
		return time.Duration(i) * announceSpacing, true
	case i < bursts*a.Repeat:
		return a.Delay + time.Duration(i-a.Repeat)*announceSpacing, true
	}
	return a.Delay + time.Duration(i-bursts*a.Repeat+1)*a.Refresh, a.Refresh > 0
}

func (a Announcing) bursts() int {
	if a.Delay > 0 {
		return 2
	}
	return 1
}

// burst is how long a burst takes.
func (a Announcing) burst() time.Duration { return time.Duration(a.Repeat) * announceSpacing }

// announcing is how the router announces.
func (r *router) announcing() Announcing {
	if r.Announcing.Repeat == 0 {
		return DefaultAnnouncing
	}
	return r.Announcing
}

// refreshing says that all bursts are over.
func (r *router) refreshing() bool {
	a := r.announcing()
	return r.announce.done >= a.bursts()*a.Repeat
}

// restart begins the schedule for addrs, due now.
func (s *schedule) restart(addrs []netip.Prefix, now time.Time) {
	*s = schedule{addrs: addrs, start: now, at: now}
}

// next sets the time of the next announcement. Those we are too late for are
// left out.
func (s *schedule) next(a Announcing, now time.Time) {
	for !s.at.IsZero() && !s.at.After(now) {
		s.done++
		after, more := a.offset(s.done)
		if s.at = s.start.Add(after); !more {
			s.at = time.Time{}
		}
	}
}

// announce makes the announcement that is due.
func (n *Node) announce(r *router) {
	addrs := r.announce.addrs
	if r.refreshing() {
		addrs = r.Addresses
	}
	r.announce.next(r.announcing(), n.now)
	r.counters.Announced += uint64(len(addrs))
	n.then = append(n.then, Announce{Key: r.Key, Interface: r.Home(), Addresses: addrs})
}

// allow takes the announcements of a repair out of the node's allowance, or
// says how long to wait for it. A repair larger than the whole waits for the
// whole.
func (n *Node) allow(r *router) (wait time.Duration) {
	if since := n.now.Sub(n.allowanceAt); since > 0 {
		n.allowance = min(allowanceMax, n.allowance+since.Seconds()*allowanceRate)
		n.allowanceAt = n.now
	}
	need := min(allowanceMax, float64(len(r.Addresses)*r.announcing().Repeat*r.announcing().bursts()))
	if n.allowance < need {
		return time.Duration((need - n.allowance) / allowanceRate * float64(time.Second))
	}
	n.allowance -= need
	return 0
}

package vrrp

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Node is the election of all virtual routers of one node, without sockets or
// clocks: events and the time go in by Step, actions come out. It is not safe
// for concurrent use; the engine's goroutine owns it.
//
// Each router is in one of these states:
//
//	                 carrier and a source address
//	    +--------+ ------------------------------> +--------+
//	--> | FAULT  |                                 | BACKUP | <---------------+
//	    +--------+ <------------------------------ +--------+                 |
//	       ^  ^          either is lost               |  ^                    |
//	       |  |                     down timer fires  |  | higher priority    |
//	       |  |                     or priority 255   v  | or address heard   |
//	       |  |          either is lost            +--------+                 |
//	       |  +----------------------------------- | MASTER | <--+            |
//	       |                                       +--------+    | nobody     |
//	       |                        hand-over, removed |         | took over  |
//	       |                        or halted          v         |            |
//	       |              either is lost           +---------+ --+            |
//	       +-------------------------------------- | LEAVING | ---------------+
//	                                               +---------+  new owner heard
//	                                                    | new owner heard, or nobody
//	                                                    v took over; if removed or halted
//	                                                 STOPPED
//
// Whether a router has its addresses is a second, smaller matter. A master has
// them and answers ARP and ND for them. Who has just heard a new owner stops
// answering at once, but keeps the addresses silently for holdAfterLoss, so
// that frames already on their way here are still served; a backup in this
// phase can become master again at any time.
type Node struct {
	routers   []*router // sorted by Key
	wire      map[wireKey][]*router
	links     map[string]Link
	answering []netip.Addr // as last emitted
	left      map[inheritance]bool
	keep      bool // Halt.Keep
	strays    Drops

	// Kept from one advert to the next, for with 255 routers it is most of what
	// an advert would cost to look at all of them.
	served  time.Time // until when wakeAll finds nobody to wake; zero when that is not known
	bound   time.Time // of soonest,
	bounded bool      // if it is known

	allowance   float64 // of announcements that rivals make us send, when
	allowanceAt time.Time

	// Of the Step under way. Whatever order the decisions are made in, the
	// actions come out in this one: transitions and additions (out), the one
	// Answer, announcements and adverts (then), removals (gone).
	now         time.Time
	out, then   []Action
	gone        []RemoveAddresses
	answerStale bool
}

// wireKey is what an advert tells about the router it is meant for. More than
// one of ours has it only while one of them is leaving.
type wireKey struct {
	iface  string
	family Family
	vrid   uint8
	gossip uint32
}

func wireKeyOf(r Router) wireKey { return wireKey{r.Interface, r.Family, r.VRID, r.Gossip} }

const (
	// holdAfterLoss is how long the addresses stay, silent, after a new owner
	// was heard. It covers frames in flight, caches that are late to learn,
	// and keepalived, which adverts before it adds the addresses.
	holdAfterLoss = 250 * time.Millisecond

	// leaveLimit bounds the wait for a new owner, whatever the advert interval.
	leaveLimit = 15 * time.Second

	// promptSpacing is the least time between adverts sent in answer to
	// others', so that a spoofer cannot make us a flood.
	promptSpacing = 10 * time.Millisecond
)

// NewNode returns a node without routers.
func NewNode() *Node {
	return &Node{links: map[string]Link{}, wire: map[wireKey][]*router{}}
}

// Step takes in one event and returns what to do about it, in order. The
// result is valid until the next Step. now must not go backwards.
func (n *Node) Step(ev Event, now time.Time) []Action {
	n.now = now
	n.out, n.then, n.gone = n.out[:0], n.then[:0], n.gone[:0]
	if n.now.After(n.served) {
		n.served = n.wakeAll()
	}
	if _, heard := ev.(Received); !heard {
		n.served, n.bounded = time.Time{}, false // priorities, intervals and timers may change
	}
	switch ev := ev.(type) {
	case Configure:
		n.configure(ev.Routers)
	case Link:
		n.links[ev.Interface] = ev
		n.refresh()
		n.restore(ev.Interface)
	case Received:
		n.receive(ev)
	case Tick:
		n.debounce()
		for _, r := range slices.Clone(n.routers) { // a router may stop
			n.tick(r)
		}
	case Resign:
		n.resign(ev.Name)
	case Inherit:
		n.inherit(ev)
	case Halt:
		n.keep = ev.Keep
		for _, r := range slices.Clone(n.routers) {
			n.retire(r, Shutdown, ev.Now)
		}
	}
	n.settle()
	return n.out
}

// settle puts the actions of a Step together.
func (n *Node) settle() {
	if n.answerStale {
		n.answerStale = false
		n.answer()
	}
	n.out = append(n.out, n.then...)
	for i, g := range n.gone {
		g.Addresses = slices.DeleteFunc(g.Addresses, func(p netip.Prefix) bool {
			return n.has(g.Interface, p) || slices.ContainsFunc(n.gone[:i], func(b RemoveAddresses) bool {
				return b.Interface == g.Interface && slices.Contains(b.Addresses, p)
			})
		})
		n.gone[i] = g
		if len(g.Addresses) > 0 {
			n.out = append(n.out, g)
		}
	}
}

// Deadline is when the next Tick is due; false when no timer runs.
func (n *Node) Deadline() (time.Time, bool) {
	var first time.Time
	for _, r := range n.routers {
		first = earliest(first, r.deadline())
	}
	return first, !first.IsZero()
}

// soonest is Deadline, or while that is still to come somewhat earlier: it
// costs nothing where only adverts have come since, each of which puts off what
// it touches. The zero time means never.
func (n *Node) soonest(now time.Time) time.Time {
	if !n.bounded || !n.bound.IsZero() && !now.Before(n.bound) {
		n.bound, _ = n.Deadline()
		n.bounded = true
	}
	return n.bound
}

// Idle says that there are no routers, not even leaving ones.
func (n *Node) Idle() bool { return len(n.routers) == 0 }

// earliest is the earlier of two times, of which the zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says whether a timer that is set has run out.
func (n *Node) due(t time.Time) bool { return !t.IsZero() && !n.now.Before(t) }

func (n *Node) find(k Key) (int, bool) {
	return slices.BinarySearchFunc(n.routers, k, func(r *router, k Key) int { return compareKeys(r.Key, k) })
}

func compareKeys(a, b Key) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return int(a.Family) - int(b.Family)
}

// reindex follows a change of the set of routers or of their identities on
// the wire.
func (n *Node) reindex() {
	clear(n.wire)
	for _, r := range n.routers {
		n.wire[r.wireKey()] = append(n.wire[r.wireKey()], r)
	}
}

// answer emits the set of answering addresses when it has changed.
func (n *Node) answer() {
	set := map[netip.Addr]bool{}
	for _, r := range n.routers {
		if r.answering {
			for p := range r.present {
				set[p.Addr()] = true
			}
		}
	}
	now := slices.SortedFunc(maps.Keys(set), netip.Addr.Compare)
	if !slices.Equal(now, n.answering) {
		n.answering = now
		n.out = append(n.out, Answer{Addresses: now})
	}
}

// add puts addresses of a router on its interface, also those we think are
// there: someone else may have taken them away.
func (n *Node) add(r *router, addrs []netip.Prefix) {
	if len(addrs) == 0 {
		return
	}
	for _, p := range addrs {
		r.present[p] = true
	}
	n.answerStale = true
	n.out = append(n.out, AddAddresses{Key: r.Key, Interface: r.Home(), Addresses: addrs})
}

// remove takes addresses of a router off its interface, at the end of the Step
// and unless another router has them there too.
func (n *Node) remove(r *router, addrs []netip.Prefix) {
	g := RemoveAddresses{Key: r.Key, Interface: r.Home()}
	for _, p := range addrs {
		if r.present[p] {
			delete(r.present, p)
			g.Addresses = append(g.Addresses, p)
		}
	}
	n.answerStale = true
	n.gone = append(n.gone, g)
}

// removeAll takes off all that a router has, in a fixed order.
func (n *Node) removeAll(r *router) {
	n.remove(r, slices.SortedFunc(maps.Keys(r.present), netip.Prefix.Compare))
	r.answering = false
	r.holdUntil = time.Time{}
}

// has says whether any router has the address on that interface.
func (n *Node) has(iface string, p netip.Prefix) bool {
	return slices.ContainsFunc(n.routers, func(r *router) bool { return r.Home() == iface && r.present[p] })
}

// serving are the routers that own their addresses, sorted.
func (n *Node) serving() []Key {
	var keys []Key
	for _, r := range n.routers {
		if r.answering {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

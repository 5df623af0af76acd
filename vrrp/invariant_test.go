package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// What must hold at any time, whatever happens:
//
//   - Two nodes that hear each other do not both answer for an address for
//     longer than the better one's advert and its way take. A node that is
//     stalled cannot help it, and is left out for as long, unless a watchdog
//     looks after it.
//   - A leaving owner falls silent only when another answers.
//   - A backup that does not preempt stays one while it hears a live owner; one
//     that preempts after a delay waits that long.
//   - A router that starts, or whose link has come back, listens for as long as
//     it is told to.
//   - Each change of state has one of the causes that it can have, and that
//     cause is true.
//
// step and carryOut check the rest: what answers is there, what is announced
// answers, what is removed was there.

// overlap is two nodes that hear each other and answer for the same address.
type overlap struct {
	a, b    *member // a.id < b.id
	address *virtual
	since   time.Duration
	limit   time.Duration
}

// answersFor says whether ARP or ND requests for the address are answered.
func (m *member) answersFor(a netip.Addr) bool {
	return m.answers[a] && !m.dead && !m.paused && !m.silenced && !m.cut
}

// reflect follows a change of what a node answers for.
func (w *world) reflect(m *member) {
	for _, v := range w.virtuals {
		v.mask &^= 1 << m.id
		if m.answersFor(v.addr) {
			v.mask |= 1 << m.id
		}
	}
	w.review()
}

// review finds the overlaps anew; those that go on as they were keep their
// beginning.
func (w *world) review() {
	var now []overlap
	for _, v := range w.virtuals {
		if v.mask&(v.mask-1) == 0 {
			continue
		}
		for i, a := range w.nodes {
			for _, b := range w.nodes[i+1:] {
				if limit, ok := w.contest(a, b, v); ok {
					now = append(now, overlap{a, b, v, w.at, limit})
				}
			}
		}
	}
	for i := range now {
		for _, o := range w.overlaps {
			if o.a == now[i].a && o.b == now[i].b && o.address == now[i].address && o.limit == now[i].limit {
				now[i].since = o.since
			}
		}
	}
	w.overlaps = now
}

// contest says whether two nodes answer for an address although they hear each
// other, and how long that may be so.
func (w *world) contest(a, b *member, v *virtual) (time.Duration, bool) {
	if v.mask&(1<<a.id) == 0 || v.mask&(1<<b.id) == 0 || !w.reaches(a, b) || !w.reaches(b, a) {
		return 0, false
	}
	ra, rb := a.answering(v.addr), b.answering(v.addr)
	if ra == nil || rb == nil || !rivals(ra, rb) {
		return 0, false
	}
	limit := max(ra.AdvertInterval, rb.AdvertInterval) + max(w.way(a, b), w.way(b, a))
	if a.stalled || b.stalled { // until the watchdog acts
		limit += max(ra.AdvertInterval, rb.AdvertInterval)
		if ra.state == Leaving || rb.state == Leaving {
			limit += max(ra.leaveLimit(), rb.leaveLimit())
		}
	}
	if ra.state == Leaving || rb.state == Leaving { // which may take a first word for a last one, see yields
		limit += max(ra.AdvertInterval, rb.AdvertInterval)
	}
	if ra.state == Leaving && rb.state == Leaving { // after a split, each waits for a third
		limit += max(ra.leaveLimit(), rb.leaveLimit())
	}
	if ra.Group != "" || rb.Group != "" { // a tie takes longer, see decides
		limit += max(ra.downInterval(), rb.downInterval())
	}
	return limit, true
}

func (w *world) way(a, b *member) time.Duration {
	p := &w.wire.paths[a.id][b.id]
	return p.delay + p.jitter
}

// reaches says whether everything that a sends arrives at b, and is heard.
func (w *world) reaches(a, b *member) bool {
	p := &w.wire.paths[a.id][b.id]
	return !p.blocked && p.loss == 0 && w.wire.side[a.id] == w.wire.side[b.id] && !w.dropped.IsValid() &&
		a.contests() && b.contests() && !a.cut && !b.cut && !a.mute && !b.deaf
}

// contests says whether a node is to be held to what it answers for: it runs,
// or its watchdog does.
func (m *member) contests() bool { return m.runs() || m.stalled && m.watched && !m.dead && !m.paused }

// answering is the router that answers for an address.
func (m *member) answering(a netip.Addr) *router {
	for _, r := range m.node.routers {
		for p := range r.present {
			if p.Addr() == a && r.answering {
				return r
			}
		}
	}
	return nil
}

// rivals says whether two routers are one on the wire.
func rivals(a, b *router) bool {
	return a.VRID == b.VRID && a.Gossip == b.Gossip && a.Version == b.Version && a.src != b.src && hears(a, b) && hears(b, a) &&
		(a.Version != VRRPv2 || a.AdvertInterval == b.AdvertInterval)
}

func hears(a, b *router) bool {
	if len(a.Unicast) == 0 || len(b.Unicast) == 0 {
		return len(a.Unicast) == len(b.Unicast)
	}
	return slices.Contains(a.Unicast, b.src)
}

// checkOverlaps finds those that last too long.
func (w *world) checkOverlaps() {
	for _, o := range w.overlaps {
		if lasted := w.at - o.since; lasted > o.limit {
			w.fail("two owners", "%s and %s hear each other and have both answered for %v for %v; %v is allowed", o.a.name, o.b.name, o.address.addr, lasted, o.limit)
			w.overlaps = nil
			return
		}
	}
}

// hearing is what a router has heard.
type hearing struct {
	key      Key
	count    uint64        // of adverts accepted
	alive    bool          // the owner that was heard last has not given up
	from     netip.Addr    // that owner
	at       time.Duration // of the last one
	interval time.Duration // in it
	lower    bool          // a lower one has been heard, first at
	lowerAt  time.Duration
}

// listen follows what the routers of a node have heard.
func (w *world) listen(m *member, ev Event) {
	e, ok := ev.(Received)
	if !ok {
		return
	}
	for i := range m.hearing {
		h := &m.hearing[i]
		at, ok := m.node.find(h.key)
		if !ok || m.node.routers[at].counters.Received == h.count {
			continue
		}
		r := m.node.routers[at]
		a := heardIn(e)
		h.count = r.counters.Received
		switch {
		case a.Priority > 0:
			h.alive, h.from, h.at, h.interval = true, e.Src, w.at, a.Interval
		case e.Src == h.from:
			h.alive = false
		}
		switch {
		case a.Priority >= r.prio.Effective() || r.state != Backup:
			h.lower = false
		case a.Priority > 0 && !h.lower:
			h.lower, h.lowerAt = true, w.at
		}
	}
}

// heardIn is the advert in a packet; the zero Advert if there is none.
func heardIn(e Received) (a Advert) {
	if packet, ok := e.advert(); ok {
		a, _ = ParseAdvert(packet, e.Src, e.Dst)
	}
	return a
}

// heard begins to follow what the routers of a node hear, where that matters.
func (m *member) heard() {
	before := m.hearing
	m.hearing = nil
	for _, r := range m.routers {
		if r.Preempt == PreemptAlways {
			continue
		}
		h := hearing{key: r.Key}
		if i, ok := m.node.find(r.Key); ok {
			h.count = m.node.routers[i].counters.Received
		}
		if i := slices.IndexFunc(before, func(h hearing) bool { return h.key == r.Key }); i >= 0 {
			h = before[i]
		}
		m.hearing = append(m.hearing, h)
	}
}

// judge checks a change of state.
func (w *world) judge(m *member, t Transition, ev Event) {
	if w.seen != nil {
		w.seen.moves[move{t.From, t.To, t.Cause}]++
	}
	if !moves[move{t.From, t.To, t.Cause}] || t.Text == "" || t.Priority == 0 {
		w.fail("cause", "%s: %v must not go from %v to %v by %v (%q)", m.name, t.Key, t.From, t.To, t.Cause, t.Text)
	}
	if why := w.doubt(m, t, ev); why != "" {
		w.fail("cause", "%s: %v goes from %v to %v by %v (%q), but %s", m.name, t.Key, t.From, t.To, t.Cause, t.Text, why)
	}
	if t.Cause == ConfigChanged { // it announced as another router, which nobody heeds
		w.misled(m)
	}
	if e, ok := ev.(Received); ok && t.From == Leaving {
		w.judgeSilence(m, t, e)
	}
	w.judgeHold(m, t)
	for i := range m.hearing {
		if h := &m.hearing[i]; h.key == t.Key {
			w.judgePatience(m, t, h)
			h.lower, h.alive = false, h.alive && t.From != Fault && t.From != Stopped
		}
	}
}

// judgeHold checks that a router listens for as long as it shall.
func (w *world) judgeHold(m *member, t Transition) {
	i, ok := m.node.find(t.Key)
	if !ok {
		return
	}
	if t.To == Master && t.From == Backup && w.at < m.held[t.Key] {
		w.fail("hold", "%s: %v takes over (%v) %v before it has listened", m.name, t.Key, t.Cause, m.held[t.Key]-w.at)
	}
	delete(m.held, t.Key)
	switch r := m.node.routers[i]; {
	case t.From == Stopped && t.To == Backup && r.StartupDelay > 0:
		m.held[t.Key] = w.at + r.StartupDelay
	case t.From == Fault && t.Cause == LinkUp && r.LinkUpDelay > 0:
		m.held[t.Key] = w.at + r.LinkUpDelay
	}
}

// judgeSilence checks that the owner for which one falls silent is there.
func (w *world) judgeSilence(m *member, t Transition, e Received) {
	i := slices.IndexFunc(w.nodes, func(o *member) bool { return o.owns(e.Src) })
	at, ok := m.node.find(t.Key)
	if i < 0 || !ok {
		return
	}
	o := w.nodes[i]
	if !o.runs() || o.cut || o.halted || m.resumed == w.at || o.resumed > 0 && w.at-o.resumed <= 2*w.wire.slowest() {
		return // it has gone since, or may have, or speaks of long ago
	}
	if w.vague || m.node.routers[at].skewOf(heardIn(e).Priority) <= 2*w.wire.slowest() {
		return // its last word comes as late as its first could
	}
	mine := m.node.routers[at].wireKey()
	if at, ok = o.node.find(t.Key); !ok || o.node.routers[at].wireKey() != mine {
		return // another router has this VRID there
	}
	theirs := o.node.routers[at]
	if theirs.cause == Startup && w.now.Sub(theirs.since) <= 2*w.wire.slowest() {
		return // or had until now
	}
	for _, p := range theirs.Addresses {
		if v := w.address(p.Addr()); v.mask&^(1<<m.id) == 0 && m.present[p] {
			w.fail("dark", "%s: %v falls silent for %s, which does not answer for %v", m.name, t.Key, o.name, p)
		}
	}
}

// judgePatience checks a take-over by a router that does not preempt at once.
func (w *world) judgePatience(m *member, t Transition, h *hearing) {
	i, ok := m.node.find(t.Key)
	if !ok || t.From != Backup || t.To != Master {
		return
	}
	r := m.node.routers[i]
	missing := time.Duration(r.DownAdverts)
	if missing == 0 {
		missing = 3
	}
	switch silent := w.at - h.at; {
	case r.prio.Effective() == 255:
	case r.Preempt == PreemptNever && h.alive && silent < missing*h.interval:
		w.fail("nopreempt", "%s: %v takes over (%v) %v after it has heard a live owner", m.name, t.Key, t.Cause, silent)
	case r.Preempt == PreemptDelay && t.Cause == LowerPriority && (!h.lower || w.at-h.lowerAt < r.PreemptDelay):
		w.fail("preempt delay", "%s: %v takes over %v after the first lower advert (%v)", m.name, t.Key, w.at-h.lowerAt, h.lower)
	}
}

// doubt says why a cause is not true, or "".
func (w *world) doubt(m *member, t Transition, ev Event) string {
	var heard Advert
	e, ok := ev.(Received)
	if ok {
		heard = heardIn(e)
	}
	i, found := m.node.find(t.Key)
	is := func(cond bool, why string) string {
		if cond {
			return ""
		}
		return why
	}
	switch t.Cause {
	case HigherPriority:
		return is(found && heard.Priority > m.node.routers[i].prio.Effective(), "no such advert has come")
	case HigherAddress, PeerTookOver:
		return is(ok && heard.Priority > 0, "no advert has come")
	case LinkDown:
		return is(!m.link.Up, "the link is up")
	case NoSource:
		return is(m.link.Up, "the link is down")
	case NoGossip:
		return is(m.link.Gossip != "", "gossip is there")
	case HandOver:
		_, asked := ev.(Resign)
		return is(asked, "nobody has asked")
	case Shutdown, ConfigRemoved:
		_, halted := ev.(Halt)
		_, configured := ev.(Configure)
		return is(halted || configured || t.From == Leaving, "nobody has asked")
	case ConfigChanged:
		_, configured := ev.(Configure)
		return is(configured, "the configuration is the same")
	case Stalled:
		return is(w.at > m.lastStep || w.at == m.resumed, "it was served at this very moment")
	case SyncGroup:
		return is(found && m.node.routers[i].Group != "", "it is in no group")
	case TrackerDown:
		return is(found && (m.node.routers[i].Fault != "" || len(m.node.routers[i].Track) > 0), "nothing is tracked")
	}
	return ""
}

// misordered says what is wrong with the order of a step's actions: a new owner
// adds its addresses, lets them answer, announces them, and adverts last.
func misordered(actions []Action) string {
	var owner *Key // of the transition under way
	stage := 0
	for _, a := range actions {
		switch a := a.(type) {
		case Transition:
			if a.To == Master {
				owner, stage = &a.Key, 0
			}
		case AddAddresses:
			if owner != nil && a.Key == *owner {
				stage = 1
			}
		case Announce:
			if owner != nil && a.Key == *owner && stage == 1 {
				stage = 2
			}
		case Send:
			if owner != nil && a.Key == *owner && stage != 2 && a.Priority > 0 {
				return fmt.Sprintf("%v adverts before its addresses are added and announced", a.Key)
			}
		}
	}
	if owner != nil && stage != 2 {
		return fmt.Sprintf("%v takes over without announcing", *owner)
	}
	return ""
}

// move is a kind of transition.
type move struct {
	from, to State
	cause    Cause
}

func (m move) String() string { return fmt.Sprintf("%v → %v, %v", m.from, m.to, m.cause) }

// moves are the transitions that can be.
var moves = func() map[move]bool {
	all := map[move]bool{}
	can := func(from, to State, causes ...Cause) {
		for _, c := range causes {
			all[move{from, to, c}] = true
		}
	}
	can(Stopped, Backup, Startup)
	can(Stopped, Fault, Startup)
	can(Stopped, Master, Owner)
	can(Fault, Backup, LinkUp, TrackerUp, SyncGroup, Startup)
	can(Fault, Master, Owner)
	can(Fault, Stopped, Shutdown, ConfigRemoved, ConfigChanged)
	can(Backup, Master, PeerTimedOut, PeerReleased, LowerPriority, Owner)
	can(Backup, Fault, LinkDown, NoSource, NoGossip, TrackerDown, SyncGroup)
	can(Backup, Leaving, Shutdown, ConfigRemoved)
	can(Backup, Stopped, Shutdown, ConfigRemoved, ConfigChanged)
	can(Master, Backup, HigherPriority, HigherAddress, Stalled)
	can(Master, Leaving, HandOver, Shutdown, ConfigRemoved, TrackerDown, SyncGroup)
	can(Master, Fault, LinkDown, NoSource, NoGossip)
	can(Master, Stopped, Shutdown, ConfigChanged)
	can(Leaving, Backup, PeerTookOver, SyncGroup, Startup)
	can(Leaving, Master, HandOverRefused)
	can(Leaving, Fault, LinkDown, NoSource, NoGossip, TrackerDown, SyncGroup)
	can(Leaving, Stopped, Shutdown, ConfigRemoved, ConfigChanged)
	return all
}()

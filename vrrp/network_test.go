package vrrp

import (
	"net/netip"
	"time"
)

// ends is how many nodes and clients a wire can join.
const ends = 12

// wire joins nodes and clients. What happens to a packet depends only on its
// path, the seed, and how many there were on that path before, so that leaving
// out a command changes little else.
type wire struct {
	paths   [ends][ends]path
	base    path        // what mend goes back to
	side    [ends]uint8 // of a partition
	used    int
	flights []flight // a heap, the earliest first
	sent    uint32
}

// path is one direction between two ends. The zero path is perfect and takes
// no time.
type path struct {
	blocked       bool
	loss, dup     uint8         // percent
	delay, jitter time.Duration // it takes delay, and up to jitter more; packets overtake each other
	dice          uint64
	last          time.Duration // the latest arrival so far
}

// flight is a packet on its way to a node, or a client's question that is due.
type flight struct {
	at    time.Duration
	order uint32 // among those that arrive at the same time
	to    *member
	event Event

	client  *client // set: it asks for the address
	address *virtual
}

func (x *wire) reset(seed uint64) {
	if x.base == (path{}) {
		x.base.delay = time.Millisecond
	}
	for i := range x.paths {
		for j := range x.paths[i] {
			x.paths[i][j] = x.base
			x.paths[i][j].dice = seed*ends*ends + uint64(i*ends+j)
		}
	}
}

// mend makes all paths as they were at first.
func (x *wire) mend() {
	clear(x.side[:])
	for i := range x.paths {
		for j := range x.paths[i] {
			p := &x.paths[i][j]
			dice, last := p.dice, p.last
			*p = x.base
			p.dice, p.last = dice, last
		}
	}
}

// end takes the next free end.
func (x *wire) end() int {
	x.used++
	return x.used - 1
}

// slowest is how long a packet takes at most, when nothing is wrong.
func (x *wire) slowest() time.Duration { return x.base.delay + x.base.jitter }

// first is when the next flight arrives.
func (x *wire) first() time.Duration {
	if len(x.flights) == 0 {
		return never
	}
	return x.flights[0].at
}

// latest is when the last packet that is under way arrives.
func (x *wire) latest() time.Duration {
	var at time.Duration
	for _, f := range x.flights {
		if f.client == nil {
			at = max(at, f.at)
		}
	}
	return at
}

func (f *flight) before(g *flight) bool {
	return f.at < g.at || f.at == g.at && f.order < g.order
}

func (x *wire) push(f flight) {
	x.sent++
	f.order = x.sent
	x.flights = append(x.flights, f)
	h := x.flights
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (x *wire) pop() flight {
	h := x.flights
	top, n := h[0], len(h)-1
	h[0], h[n] = h[n], flight{}
	h = h[:n]
	x.flights = h
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// roll is the next number of the path's dice (splitmix64).
func (p *path) roll() uint64 {
	p.dice += 0x9e3779b97f4a7c15
	z := p.dice
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// travel is when a packet that is sent now arrives, and whether it does. A
// second time, if not zero, is that of its duplicate.
func (p *path) travel(now time.Duration) (at, again time.Duration, ok bool) {
	if p.blocked {
		return 0, 0, false
	}
	if p.loss == 0 && p.dup == 0 && p.jitter == 0 {
		return now + p.delay, 0, true
	}
	dice := p.roll()
	if uint8(dice%100) < p.loss {
		return 0, 0, false
	}
	at = now + p.delay
	if p.jitter > 0 {
		at += time.Duration(dice >> 16 % uint64(p.jitter))
	}
	if uint8(dice>>8%100) < p.dup {
		again = now + p.delay + p.jitter
	}
	return at, again, true
}

// transit sends something over a path.
func (w *world) transit(from, to int) (at, again time.Duration, ok bool) {
	p := &w.wire.paths[from][to]
	if w.wire.side[from] != w.wire.side[to] {
		return 0, 0, false
	}
	at, again, ok = p.travel(w.at)
	if w.seen != nil {
		switch {
		case !ok:
			w.seen.faults["lost"]++
		case again != 0:
			w.seen.faults["duplicated"]++
		case at < p.last:
			w.seen.faults["overtaken"]++
		}
		p.last = max(p.last, at)
	}
	return at, again, ok
}

// send carries an advert to the nodes that it is for, and, when it comes from
// a virtual MAC, shows that to the clients' switches.
func (w *world) send(m *member, s Send) {
	if m.cut || m.mute || w.dropped.Contains(s.Src) {
		return
	}
	ev := Event(Received{
		Interface: s.Interface, Src: s.Src, Dst: s.Dst, TTL: 255, AH: s.AH, ID: s.ID, Packet: s.Packet,
		Gossip: s.Gossip, Node: m.nameIn(s),
	})
	for _, to := range w.nodes {
		if to == m || !s.Dst.IsMulticast() && !to.owns(s.Dst) {
			continue
		}
		at, again, ok := w.transit(m.id, to.id)
		if ok {
			w.wire.push(flight{at: at, to: to, event: ev})
		}
		if again != 0 {
			w.wire.push(flight{at: again, to: to, event: ev})
		}
	}
	if i, ok := m.node.find(s.Key); ok && m.node.routers[i].speaksVirtually(s.Dst) {
		w.teach(m, s.Key)
	}
}

// nameIn is the node's name where an advert carries it.
func (m *member) nameIn(s Send) string {
	if s.Gossip == 0 {
		return ""
	}
	return m.name
}

// owns says whether a is an address of the node itself.
func (m *member) owns(a netip.Addr) bool {
	for _, p := range m.link.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// deliver lets a packet arrive.
func (w *world) deliver(f flight) {
	m := f.to
	switch {
	case f.client != nil:
		w.ask(f.client, f.address)
	case m.cut || m.deaf || m.dead || m.paused:
	case !m.stalled:
		w.step(m, f.event)
	case len(m.queue) < m.room:
		m.queue = append(m.queue, f.event)
	default:
		w.count("queue overflow")
	}
}

// resume ends a stall or a pause: what has queued up is heard, and what else
// has happened is seen, before any timer acts.
func (w *world) resume(m *member) {
	if m.stalled || m.paused {
		m.resumed = w.at
	}
	m.stalled, m.paused = false, false
	queue, pending := m.queue, m.pending
	m.queue, m.pending = nil, nil
	for _, ev := range queue {
		w.step(m, ev)
	}
	for _, ev := range pending {
		if l, ok := ev.(Link); ok { // it is read as it is now
			ev = m.current(l.Interface)
		}
		w.step(m, ev)
	}
	m.silenced = false
	w.reflect(m)
}

// current is an interface as it is now.
func (m *member) current(name string) Link {
	for _, l := range m.aside {
		if l.Interface == name {
			return l
		}
	}
	return m.link
}

// setLink changes the carrier of a node.
func (w *world) setLink(m *member, up bool) {
	m.cut, m.link.Up = !up, up
	w.reflect(m)
	w.hand(m, m.link)
}

// patience is when the watchdog of a node that does not run silences it.
func (m *member) patience() time.Duration {
	if !m.stalled || m.dead || m.paused || m.silenced || !m.watched {
		return never
	}
	return m.limit
}

// silence is what the watchdog does.
func (w *world) silence(m *member) {
	m.silenced = true
	w.count("silenced by the watchdog")
	w.reflect(m)
}

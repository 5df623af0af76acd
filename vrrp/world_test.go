package vrrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a network of nodes in virtual time. It carries out the actions of
// each node on a model of its interface and carries packets to the others.
type world struct {
	t        testing.TB
	now      time.Time
	start    time.Time
	nodes    []*member // sorted by name
	inFlight []flight  // sorted by time
	delay    func() time.Duration
	lose     func() bool
	dropped  netip.Prefix // packets from there are lost
	trace    func(string) // a line of output; nil for none
	moved    int          // transitions
}

// member is a node of the world with one interface, eth0.
type member struct {
	name     string
	node     *Node
	link     Link
	routers  []Router
	cut      bool // no carrier
	deaf     bool // receives nothing
	mute     bool // what it sends is lost
	stalled  bool // does not run; packets queue up
	queue    []Received
	present  map[netip.Prefix]bool
	answers  map[netip.Addr]bool
	taken    map[netip.Addr]bool // by somebody else, from under us
	group    int                 // of the partition
	acted    int                 // actions of the last step
	announce map[netip.Addr]time.Time
}

type flight struct {
	at     time.Time
	to     *member
	packet Received
}

func newWorld(t testing.TB) *world {
	start := time.Unix(0, 0)
	return &world{
		t: t, now: start, start: start,
		delay: func() time.Duration { return time.Millisecond },
		lose:  func() bool { return false },
	}
}

func (w *world) add(name string, addrs ...netip.Prefix) *member {
	m := &member{
		name: name, node: NewNode(), link: Link{Interface: "eth0", Up: true, Addresses: addrs},
		present: map[netip.Prefix]bool{}, taken: map[netip.Addr]bool{}, answers: map[netip.Addr]bool{}, announce: map[netip.Addr]time.Time{},
	}
	w.nodes = append(w.nodes, m)
	slices.SortFunc(w.nodes, func(a, b *member) int { return cmp.Compare(a.name, b.name) })
	w.step(m, m.link)
	return m
}

func (w *world) find(name string) *member {
	i := slices.IndexFunc(w.nodes, func(m *member) bool { return m.name == name })
	if i < 0 {
		w.t.Fatalf("no node %q", name)
	}
	return w.nodes[i]
}

// step hands one event to a node and carries out what it says, checking what
// must hold at any time.
func (w *world) step(m *member, ev Event) {
	if link, ok := ev.(Link); ok && link.Interface == m.link.Interface {
		virtual := keys(m.present)
		slices.SortFunc(virtual, netip.Prefix.Compare)
		link.Addresses = append(slices.Clone(link.Addresses), virtual...)
		ev = link
	}
	actions := m.node.Step(ev, w.now)
	m.acted = len(actions)
	for _, a := range actions {
		if w.trace != nil {
			w.trace(fmt.Sprintf("%10s %s %s", w.clock(), m.name, describe(a)))
		}
		w.carryOut(m, a)
	}
	for ip := range m.answers {
		if !m.taken[ip] && !slices.ContainsFunc(keys(m.present), func(p netip.Prefix) bool { return p.Addr() == ip }) {
			w.t.Errorf("%s: answers for %v without having it", m.name, ip)
		}
	}
}

func (w *world) clock() string { return fmt.Sprintf("%.3f", w.now.Sub(w.start).Seconds()) }

func (w *world) carryOut(m *member, a Action) {
	switch a := a.(type) {
	case Transition:
		w.moved++
		if a.Cause == NoCause || a.Text == "" || a.From == a.To || a.Priority == 0 {
			w.t.Errorf("%s: transition without a cause: %+v", m.name, a)
		}
	case AddAddresses:
		for _, p := range a.Addresses {
			m.present[p] = true
			delete(m.taken, p.Addr())
		}
	case RemoveAddresses:
		for _, p := range a.Addresses {
			if !m.present[p] {
				w.t.Errorf("%s: removes absent %v", m.name, p)
			}
			delete(m.present, p)
		}
	case Answer:
		clear(m.answers)
		for _, ip := range a.Addresses {
			m.answers[ip] = true
		}
	case Announce:
		for _, p := range a.Addresses {
			if !m.answers[p.Addr()] {
				w.t.Errorf("%s: announces %v without answering for it", m.name, p)
			}
			m.announce[p.Addr()] = w.now
		}
	case Send:
		w.send(m, a)
	}
}

func keys[K comparable](m map[K]bool) []K {
	var list []K
	for k := range m {
		list = append(list, k)
	}
	return list
}

func (w *world) send(m *member, s Send) {
	if m.cut || m.mute || w.dropped.Contains(s.Src) {
		return
	}
	for _, to := range w.nodes {
		mine := slices.ContainsFunc(to.link.Addresses, func(p netip.Prefix) bool { return p.Addr() == s.Dst })
		if to == m || to.group != m.group || !s.Dst.IsMulticast() && !mine || w.lose() {
			continue
		}
		w.inFlight = append(w.inFlight, flight{w.now.Add(w.delay()), to, Received{
			Interface: "eth0", Src: s.Src, Dst: s.Dst, TTL: 255, AH: s.AH, ID: s.ID, Packet: slices.Clone(s.Packet),
		}})
	}
	slices.SortStableFunc(w.inFlight, func(a, b flight) int { return a.at.Compare(b.at) })
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for range 1_000_000 {
		next, who := w.next()
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		if next.After(w.now) {
			w.now = next
		}
		if who != nil {
			w.step(who, Tick{})
			continue
		}
		f := w.inFlight[0]
		w.inFlight = w.inFlight[1:]
		w.deliver(f)
	}
	w.t.Fatalf("at %s: the world does not come to rest", w.clock())
}

// next is when something happens, and which node's timer it is. Packets come
// before timers.
func (w *world) next() (at time.Time, who *member) {
	if len(w.inFlight) > 0 {
		at = w.inFlight[0].at
	}
	for _, m := range w.nodes {
		d, ok := m.node.Deadline()
		if ok && !m.stalled && (at.IsZero() || d.Before(at)) {
			at, who = d, m
		}
	}
	return at, who
}

func (w *world) deliver(f flight) {
	switch {
	case f.to.cut || f.to.deaf:
	case f.to.stalled:
		if len(f.to.queue) < 100 {
			f.to.queue = append(f.to.queue, f.packet)
		}
	default:
		w.step(f.to, f.packet)
	}
}

// resume ends a stall: what has queued up is heard before any timer acts.
func (w *world) resume(m *member) {
	m.stalled = false
	for _, p := range m.queue {
		w.step(m, p)
	}
	m.queue = nil
}

// setLink changes the carrier of a node.
func (w *world) setLink(m *member, up bool) {
	m.cut, m.link.Up = !up, up
	w.step(m, m.link)
}

func (w *world) configure(m *member, routers []Router) {
	admitted, err := Admit(m.routers, routers)
	if err != nil && w.trace != nil {
		w.trace(fmt.Sprintf("%10s %s refuses: %v", w.clock(), m.name, strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	m.routers = admitted
	w.step(m, Configure{Routers: admitted})
}

// describe writes an action as one line.
func describe(a Action) string {
	switch a := a.(type) {
	case Transition:
		return fmt.Sprintf("%v: %v → %v, %v: %s", a.Key, a.From, a.To, a.Cause, a.Text)
	case AddAddresses:
		return fmt.Sprintf("%v: add %s", a.Key, list(a.Addresses))
	case RemoveAddresses:
		return fmt.Sprintf("%v: remove %s", a.Key, list(a.Addresses))
	case Answer:
		return fmt.Sprintf("answer for [%s]", list(a.Addresses))
	case Announce:
		return fmt.Sprintf("%v: announce %s", a.Key, list(a.Addresses))
	case Send:
		return fmt.Sprintf("%v: advert %d from %v to %v", a.Key, a.Priority, a.Src, a.Dst)
	case Refused:
		return fmt.Sprintf("%v: refuses advert from %v: %v", a.Key, a.Addr, a.Reason.String())
	case Lost:
		return fmt.Sprintf("%v: lost %s", a.Key, list(a.Addresses))
	case Rival:
		return fmt.Sprintf("%v: rival %v advertises %d", a.Key, a.Addr, a.Priority)
	}
	return fmt.Sprintf("unknown action %T", a)
}

func list[T fmt.Stringer](items []T) string {
	var s []string
	for _, i := range items {
		s = append(s, i.String())
	}
	return strings.Join(s, " ")
}

package vrrp

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a network of nodes, and of clients that talk to their addresses, in
// virtual time. It drives the very Step that the engine drives, carries out
// the actions on a model of each node's interface, carries packets to the
// others, and checks after each step what must hold at any time.
//
// All of it is deterministic: the same commands make the same trace.
type world struct {
	t     testing.TB // nil in a simulation, where fail keeps the first violation
	wrong *violation

	start, now time.Time
	at         time.Duration // now, since start
	nodes      []*member     // sorted by name
	clients    []*client
	wire       wire
	dropped    netip.Prefix // packets from there are lost
	trace      func(string) // a line of output; nil for none
	moved      int          // transitions
	seen       *coverage    // nil: not counted

	vague    bool // adverts may be late, or those of another router with the VRID
	virtuals []*virtual
	overlaps []overlap
}

// violation is a rule that was broken.
type violation struct{ rule, text string }

// fail reports that a rule is broken.
func (w *world) fail(rule, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if w.wrong == nil {
		w.wrong = &violation{rule, text}
	}
	if w.t != nil {
		w.t.Helper()
		w.t.Errorf("at %s: %s: %s", w.clock(), rule, text)
	}
}

// fatal is fail for what is not the fault of the nodes.
func (w *world) fatal(format string, args ...any) {
	if w.t != nil {
		w.t.Helper()
		w.t.Fatalf(format, args...)
	}
	w.fail("script", format, args...)
}

// member is a node of the world with one interface, eth0, on the wire.
type member struct {
	name    string
	id      int // its end of the wire
	node    *Node
	link    Link     // as it is now, without virtual addresses
	aside   []Link   // other interfaces
	routers []Router // as configured
	wanted  []Router // what apply configures
	first   state0   // what mend goes back to

	cut      bool          // no carrier
	deaf     bool          // receives nothing
	mute     bool          // what it sends is lost
	stalled  bool          // does not run; packets queue up
	paused   bool          // nor does its kernel; packets are lost
	dead     bool          // its process is gone; its addresses are silent
	halted   bool          // its process ends, or has ended
	watched  bool          // a watchdog silences it when it stalls
	silenced bool          // that has happened
	limit    time.Duration // until when the watchdog waits

	queue    []Event // packets that wait for a stalled node
	room     int     // of the queue
	pending  []Event // what else waits
	present  map[netip.Prefix]bool
	answers  map[netip.Addr]bool
	taken    map[netip.Addr]bool // by somebody else, from under us
	moved    bool                // by the node, addresses
	acted    int                 // actions of the last step
	lastStep time.Duration
	resumed  time.Duration         // after a stall or a pause, or started
	deadline time.Duration         // of the node; never if it has none
	hearing  []hearing             // for the routers that do not preempt at once
	held     map[Key]time.Duration // until when routers must listen
}

// state0 is a node as it was at first.
type state0 struct {
	addresses []netip.Prefix
	routers   []Router // as wanted
	admitted  []Router // and admitted
}

// never is later than anything.
const never = time.Duration(1<<63 - 1)

func newWorld(t testing.TB) *world {
	start := time.Now() // with a monotonic clock, as the engine's
	w := &world{t: t, now: start, start: start}
	w.wire.reset(0)
	return w
}

func (w *world) add(name string, addrs ...netip.Prefix) *member {
	m := &member{
		name: name, id: w.wire.end(), node: NewNode(), link: Link{Interface: "eth0", Up: true, Addresses: addrs},
		present: map[netip.Prefix]bool{}, taken: map[netip.Addr]bool{}, answers: map[netip.Addr]bool{},
		deadline: never, room: 100, held: map[Key]time.Duration{}, first: state0{addresses: addrs},
	}
	w.nodes = append(w.nodes, m)
	slices.SortFunc(w.nodes, func(a, b *member) int { return cmp.Compare(a.name, b.name) })
	w.step(m, m.link)
	return m
}

// lookup is the node of that name, or nil.
func (w *world) lookup(name string) *member {
	for _, m := range w.nodes {
		if m.name == name {
			return m
		}
	}
	return nil
}

func (w *world) find(name string) *member {
	m := w.lookup(name)
	if m == nil && w.t != nil { // a shortened schedule may have lost the node
		w.fatal("no node %q", name)
	}
	return m
}

// runs says whether the node's process is there and does something.
func (m *member) runs() bool { return !m.dead && !m.stalled && !m.paused }

// hand gives an event to a node now, or when it runs again.
func (w *world) hand(m *member, ev Event) {
	switch {
	case m.dead:
	case !m.runs():
		m.pending = append(m.pending, ev)
	default:
		w.step(m, ev)
	}
}

// step hands one event to a node and carries out what it says, checking what
// must hold at any time.
func (w *world) step(m *member, ev Event) {
	if link, ok := ev.(Link); ok && link.Interface == m.link.Interface {
		link.Addresses = append(slices.Clone(link.Addresses), m.virtual()...)
		ev = link
	}
	actions := m.node.Step(ev, w.now)
	m.acted = len(actions)
	if w.seen != nil {
		w.seen.steps++
	}
	if m.acted > 0 {
		w.carryOutAll(m, actions, ev)
	}
	if m.hearing != nil {
		w.listen(m, ev)
	}
	m.lastStep = w.at
	m.deadline = never
	if at, ok := m.node.Deadline(); ok {
		m.deadline = at.Sub(w.start)
	}
	if m.moved { // the kernel tells of it
		m.moved = false
		acted := m.acted
		w.step(m, m.link)
		m.acted += acted
	}
}

func (w *world) carryOutAll(m *member, actions []Action, ev Event) {
	changed := false
	if what := misordered(actions); what != "" {
		w.fail("order of actions", "%s: %s", m.name, what)
	}
	for _, a := range actions {
		if w.trace != nil {
			w.trace(fmt.Sprintf("%10s %s %s", w.clock(), m.name, describe(a)))
		}
		switch a.(type) {
		case Send, Announce:
		default:
			changed = true
		}
		w.carryOut(m, a, ev)
	}
	if !changed {
		return
	}
	for ip := range m.answers {
		if !m.taken[ip] && !m.has(ip) {
			w.fail("answers", "%s: answers for %v without having it", m.name, ip)
		}
	}
	w.reflect(m)
}

// has says whether the address is on the interface.
func (m *member) has(ip netip.Addr) bool {
	for p := range m.present {
		if p.Addr() == ip {
			return true
		}
	}
	return false
}

// onDevice says whether an address is one of a router with a virtual MAC.
func (m *member) onDevice(p netip.Prefix) bool {
	for i := range m.routers {
		if m.routers[i].Device != "" && slices.Contains(m.routers[i].Addresses, p) {
			return true
		}
	}
	return false
}

// virtual lists the virtual addresses on the interface, sorted.
func (m *member) virtual() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(m.present), netip.Prefix.Compare)
}

func (w *world) clock() string { return fmt.Sprintf("%.3f", w.at.Seconds()) }

func (w *world) carryOut(m *member, a Action, ev Event) {
	switch a := a.(type) {
	case Transition:
		w.moved++
		w.judge(m, a, ev)
	case AddAddresses:
		m.moved = true
		for _, p := range a.Addresses {
			m.present[p] = true
			delete(m.taken, p.Addr())
		}
	case RemoveAddresses:
		m.moved = true
		for _, p := range a.Addresses {
			if !m.present[p] && !m.taken[p.Addr()] {
				w.fail("removes", "%s: removes absent %v", m.name, p)
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
				w.fail("announces", "%s: announces %v without answering for it", m.name, p)
			}
		}
		w.announce(m, a)
	case Send:
		w.send(m, a)
	}
}

// advance sets the clock.
func (w *world) advance(to time.Duration) {
	w.at = to
	w.now = w.start.Add(to)
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.at + d
	for range 1_000_000 {
		if w.wrong != nil && w.t == nil {
			return
		}
		next, who := w.next()
		if next > end {
			w.advance(end)
			w.checkOverlaps()
			return
		}
		if next > w.at {
			w.advance(next)
			w.checkOverlaps()
		}
		switch {
		case who == nil:
			w.deliver(w.wire.pop())
		case who.runs():
			w.step(who, Tick{})
		default:
			w.silence(who)
		}
	}
	w.fatal("at %s: the world does not come to rest", w.clock())
}

// next is when something happens, and which node's timer it is. Packets come
// before timers.
func (w *world) next() (at time.Duration, who *member) {
	at = w.wire.first()
	for _, m := range w.nodes {
		d := m.deadline
		if !m.runs() {
			d = m.patience()
		}
		if d < at {
			at, who = d, m
		}
	}
	return at, who
}

// configure replaces the routers of a node.
func (w *world) configure(m *member, routers []Router) {
	admitted, err := Admit(m.routers, routers)
	if err != nil && w.trace != nil {
		w.trace(fmt.Sprintf("%10s %s refuses: %v", w.clock(), m.name, strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	m.routers = admitted
	w.know(admitted)
	w.hand(m, Configure{Routers: admitted})
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

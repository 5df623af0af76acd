package vrrp

import (
	"net/netip"
	"slices"
	"time"
	"unsafe"
)

// worldCommand carries out a command that concerns no node, and says whether
// it is one.
func (s *script) worldCommand(name string, args []string) bool {
	switch name {
	case "seed": // seed NUMBER: of the dice that loss, duplication and jitter use
		s.wire.reset(uint64(s.number(args[0])))
	case "base": // base DELAY JITTER: of all paths, unless told otherwise
		s.wire.base.delay, s.wire.base.jitter = s.duration(args[0]), s.duration(args[1])
	case "client": // client NAME TIMEOUT: of its ARP cache
		s.addClient(args[0], s.duration(args[1]))
	case "path": // path FROM TO blocked|loss|dup|slow [VALUE]; "*" is all
		for i := range s.wire.used {
			for j := range s.wire.used {
				if s.isEnd(args[0], i) && s.isEnd(args[1], j) {
					s.setPath(&s.wire.paths[i][j], args[2:])
				}
			}
		}
		s.count("path " + args[2])
	case "partition": // partition END...: from all others
		for i := range s.wire.used {
			if slices.ContainsFunc(args, func(a string) bool { return s.isEnd(a, i) }) {
				s.wire.side[i] = 1
			}
		}
	case "join": // join: no partition any more
		clear(s.wire.side[:])
	case "jump": // jump DURATION: wall clocks are set
		s.start = setWall(s.start, s.duration(args[0]))
		s.advance(s.at)
	case "settle": // settle: everything becomes as it was at first; what must hold after a while is checked
		s.mend()
		s.settle()
	default:
		return false
	}
	s.count(name)
	s.review()
	return true
}

// isEnd says whether a name is that of the node or client at an end.
func (s *script) isEnd(name string, id int) bool {
	if name == "*" {
		return true
	}
	for _, m := range s.nodes {
		if m.id == id {
			return m.name == name
		}
	}
	for _, c := range s.clients {
		if c.id == id {
			return c.name == name
		}
	}
	return false
}

func (s *script) setPath(p *path, args []string) {
	switch args[0] {
	case "blocked":
		p.blocked = true
	case "open":
		p.blocked, p.loss = false, 0
	case "loss": // percent
		p.loss = uint8(s.number(args[1]))
	case "dup": // percent
		p.dup = uint8(s.number(args[1]))
	case "slow": // by up to so much
		p.jitter, s.vague = s.duration(args[1]), true
	default:
		s.fatal("unknown property %q of a path", args[0])
	}
}

// simulated carries out what the simulator does to nodes.
func (s *script) simulated(name string, m *member, args []string) {
	switch name {
	case "want": // want NODE ROUTER key=value...: what apply will configure
		m.wanted = s.amend(m.wanted, args)
	case "unwant": // unwant NODE ROUTER
		m.wanted = slices.DeleteFunc(slices.Clone(m.wanted), func(r Router) bool { return r.Name == args[0] })
	case "apply": // apply NODE: what it wants; the first time is what mend goes back to
		first := m.first.routers == nil
		if first {
			m.first.routers = m.wanted
		}
		if s.apply(m); first {
			m.first.admitted = m.routers
		}
	case "pause": // pause NODE: a virtual machine stands still
		m.paused = true
		m.queue = nil
	case "crash": // crash NODE: its process is gone, and the fence closes
		s.crash(m)
	case "restart": // restart NODE: a new process finds what it shall be
		s.restart(m)
	case "watch": // watch NODE: a watchdog silences it when it stalls
		m.watched = true
	case "gossip": // gossip NODE lost|there
		m.link.Gossip = map[string]string{"lost": "nobody answers"}[args[0]]
		s.hand(m, m.link)
	case "inherit": // inherit NODE: as restart, but beside what leave has left
		s.inherit(m)
	case "noise": // noise NODE KIND: a packet that is none of its peers'
		s.noise(m, args[0])
	case "room": // room NODE PACKETS: of its socket's queue
		m.room = s.number(args[0])
	default:
		s.fatal("unknown command %q", name)
	}
}

func (s *script) apply(m *member) {
	if !m.dead && !m.halted {
		s.configure(m, m.wanted)
		m.heard()
	}
}

// applyFirst is apply for what a node wanted at first.
func (s *script) applyFirst(m *member) {
	m.wanted = m.first.routers
	if m.dead || m.halted || m.first.admitted == nil {
		s.apply(m)
		return
	}
	m.routers = m.first.admitted
	s.hand(m, Configure{Routers: m.routers})
	m.heard()
}

func (w *world) stall(m *member) {
	if !m.runs() {
		return
	}
	m.stalled = true
	if at, ok := m.node.Limit(); ok {
		m.limit = at.Sub(w.start)
	} else {
		m.limit = never
	}
}

// setAside changes an interface that is only tracked.
func (w *world) setAside(m *member, l Link) {
	m.aside = append(slices.DeleteFunc(m.aside, func(o Link) bool { return o.Interface == l.Interface }), l)
	w.hand(m, l)
}

// crash ends a process. Its addresses stay, but nothing answers for them.
func (w *world) crash(m *member) {
	*m = member{
		name: m.name, id: m.id, node: NewNode(), link: m.link, aside: m.aside, wanted: m.wanted, first: m.first,
		cut: m.cut, deaf: m.deaf, mute: m.mute, watched: m.watched, room: m.room,
		held: map[Key]time.Duration{}, present: m.present, answers: m.answers, taken: m.taken, deadline: never, dead: true,
	}
	clear(m.answers)
}

// restart ends a process that is there, and starts one, which first removes
// the addresses that the last one has left.
func (w *world) restart(m *member) {
	if !m.dead {
		w.crash(m)
	}
	m.dead, m.stalled, m.paused, m.resumed = false, false, false, w.at
	clear(m.present)
	clear(m.taken)
	w.step(m, m.link)
	for _, l := range m.aside {
		w.step(m, l)
	}
	w.configure(m, m.wanted)
	m.heard()
}

// inherit starts a process that finds the addresses that the last one has left,
// if that one has ended as it should.
func (w *world) inherit(m *member) {
	if m.dead || !m.runs() || !m.halted || !m.node.Idle() {
		w.restart(m)
		return
	}
	left := map[string][]netip.Prefix{}
	for _, r := range m.routers {
		for _, p := range r.Addresses {
			if m.present[p] {
				left[r.Home()] = append(left[r.Home()], p)
			}
		}
	}
	w.crash(m)
	m.dead, m.resumed = false, w.at
	w.step(m, m.link)
	for _, l := range m.aside {
		w.step(m, l)
	}
	w.step(m, Inherit{Addresses: left})
	w.configure(m, m.wanted)
	m.heard()
	for p := range m.present { // what nobody wants any more is swept
		if !slices.ContainsFunc(m.node.routers, func(r *router) bool { return r.present[p] }) {
			delete(m.present, p)
			m.taken[p.Addr()] = true
		}
	}
}

// noise lets a node hear a packet that it must not heed.
func (w *world) noise(m *member, kind string) {
	if !m.runs() || len(m.routers) == 0 {
		return
	}
	r := m.routers[0]
	src := netip.MustParseAddr("10.0.0.250")
	if r.Family == IPv6 {
		src = netip.MustParseAddr("fe80::250")
	}
	e := Received{Interface: "eth0", Src: src, Dst: group(r.Family), TTL: hopLimit}
	a := Advert{Version: r.Version, VRID: r.VRID, Priority: 200, Interval: r.AdvertInterval}
	e.Packet = a.encode(e.Src, e.Dst)
	switch kind {
	case "ttl":
		e.TTL = 64
	case "checksum":
		e.Packet[6] ^= 0x55
	case "short":
		e.Packet = e.Packet[:5]
	case "type":
		e.Packet[0]++
	case "version":
		e.Packet[0] = 7<<4 | typeAdvert
	}
	w.step(m, e)
}

// setWall changes the wall clock of a time, in whole seconds, but not its
// monotonic one. The layout is that of package time, see its type Time.
func setWall(t time.Time, by time.Duration) time.Time {
	const monotonic, secondsAt = 1 << 63, 30
	fields := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if fields.wall&monotonic != 0 {
		fields.wall += uint64(by/time.Second) << secondsAt
	}
	return t
}

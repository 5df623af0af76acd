package vrrp

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// mend ends all that is wrong: the network is a full mesh, all nodes run, and
// they have the configuration that they had at first.
func (s *script) mend() {
	for _, v := range s.virtuals {
		v.told, v.mended = false, v.mask
		for _, m := range s.nodes {
			r := m.answering(v.addr)
			if m.halted || r != nil && r.state == Leaving && s.now.Sub(r.since) <= r.AdvertInterval {
				v.mended &^= 1 << m.id // it does not tell, or cannot know whom
			}
		}
	}
	s.wire.mend()
	s.dropped = netip.Prefix{}
	for _, m := range s.nodes {
		m.deaf, m.mute, m.link.Gossip = false, false, ""
		m.link.Addresses = m.first.addresses
		for i := range m.aside {
			m.aside[i].Up = true
		}
		m.wanted = m.first.routers
		if m.dead || m.halted {
			m.cut, m.link.Up = false, true
			s.restart(m)
			continue
		}
		s.resume(m)
		s.applyFirst(m)
		for _, l := range m.aside {
			s.step(m, l)
		}
		s.setLink(m, true)
	}
}

// settle waits as long as it may take until there is one owner of each router,
// and checks that there is, and what must hold then.
func (s *script) settle() {
	s.all = false
	if at := s.wire.latest(); at > s.at {
		s.run(at - s.at) // what was under way when the network became whole
	}
	s.run(s.patience())
	s.checkOwners()
	s.moved = 0
	s.run(5 * s.longest())
	if s.moved != 0 {
		s.fail("rest", "%d transitions in a network that was at rest", s.moved)
	}
	s.checkClients()
	for _, m := range s.nodes {
		if s.step(m, Configure{Routers: m.routers}); m.acted != 0 {
			s.fail("again", "%s: the same configuration again makes %d actions", m.name, m.acted)
		}
	}
}

// longest is the longest advert interval.
func (w *world) longest() (d time.Duration) {
	for _, m := range w.nodes {
		for i := range m.routers {
			d = max(d, m.routers[i].AdvertInterval)
		}
	}
	return d
}

// patience is how long it may take until a network that has become whole is at
// rest: a down interval, or the time for which a router has to listen; where
// preemption is delayed, the delay and another down interval; in a sync group,
// a hand-over and another down interval.
func (w *world) patience() (wait time.Duration) {
	interval := w.longest()
	for _, m := range w.nodes {
		for i := range m.routers {
			r := &m.routers[i]
			missing := time.Duration(r.DownAdverts)
			if missing == 0 {
				missing = 3
			}
			down := (missing + 1) * interval
			need := max(down, r.StartupDelay, r.LinkUpDelay)
			for _, t := range r.Track {
				need = max(need, t.UpDelay+r.LinkUpDelay, t.UpDelay+down)
			}
			if r.Preempt == PreemptDelay {
				need += r.PreemptDelay + down
			}
			if r.Group != "" {
				need += down + 4*interval + 100*time.Millisecond // one hands over what another has a part of
			}
			if i, ok := m.node.find(r.Key); ok {
				now := m.node.routers[i]
				need = max(need, now.notBefore.Sub(w.now), now.downAt().Sub(w.now)) // of an older configuration
				if now.state == Leaving {
					need += max(down, now.leaveLimit()) // it listens when another has come
				}
			}
			wait = max(wait, need)
		}
		if len(m.taken) > 0 {
			wait = max(wait, restoreSpacing)
		}
	}
	return wait + 2*w.wire.slowest() + promptSpacing
}

// checkOwners checks that each router has exactly one owner, and the right one.
func (s *script) checkOwners() {
	for _, k := range s.everywhere() {
		s.checkOwner(k)
	}
}

// everywhere lists the routers that a node has.
func (w *world) everywhere() []Key {
	var list []Key
	for _, m := range w.nodes {
		for i := range m.routers {
			if !slices.Contains(list, m.routers[i].Key) {
				list = append(list, m.routers[i].Key)
			}
		}
	}
	return list
}

func (s *script) checkOwner(k Key) {
	var owners []string
	var owner *router
	var all []*router
	for _, m := range s.nodes {
		i, ok := m.node.find(k)
		if !ok {
			continue
		}
		r := m.node.routers[i]
		all = append(all, r)
		master := r.state == Master
		if master {
			owners, owner = append(owners, m.name), r
		} else if r.state != Backup {
			s.fail("state", "%s: %v is %v", m.name, k, r.state)
		}
		for _, p := range r.Addresses {
			if m.answers[p.Addr()] != master || m.present[p] != master && (master || r.holdUntil.IsZero()) {
				s.fail("addresses", "%s: %v is %v; has %v: %v, answers: %v", m.name, k, r.state, p, m.present[p], m.answers[p.Addr()])
			}
		}
	}
	if len(owners) != 1 {
		s.fail("one owner", "%v is owned by [%s]", k, strings.Join(owners, " "))
		return
	}
	for _, r := range all {
		if p, preempts := s.rank(r); preempts {
			if q, _ := s.rank(owner); p > q {
				s.fail("order", "%v: priority %d owns, and %d is there, which preempts: %v", k, q, p, r.Preempt)
			}
		}
	}
}

// rank is a router's priority, and whether it preempts. A sync group is only
// as good as the worst of it.
func (s *script) rank(r *router) (priority uint8, preempts bool) {
	priority, preempts = r.prio.Effective(), r.Preempt != PreemptNever || r.prio.Effective() == 255
	for _, m := range s.nodes {
		if i, ok := m.node.find(r.Key); !ok || m.node.routers[i] != r {
			continue
		}
		for _, o := range m.node.others(r) {
			priority = min(priority, o.prio.Effective())
			preempts = preempts && (o.Preempt != PreemptNever || o.prio.Effective() == 255)
		}
	}
	return priority, preempts
}

// checkClients checks that the packets of all clients arrive at the owners,
// once a repair that had to wait for its turn is made. One may be wrong that
// believes a node which had ended, unheard of by the owner, before the network
// was whole: until its entry is too old, or the owner announces anew.
func (s *script) checkClients() {
	if !s.anyWrong() {
		return
	}
	s.run(rivalSpacing)
	late := time.Duration(0)
	s.eachWrong(func(c *client, v *virtual, e *entry) {
		if v.told || v.mended&(1<<e.node.id) != 0 {
			s.fail("client", "%s: packets to %v go to %s", c.name, v.addr, e.node.name)
		}
		late = max(late, min(c.timeout+askSpacing, s.refresh(v)))
	})
	if late == 0 || s.wrong != nil {
		return
	}
	s.count("client repaired late")
	s.run(late + s.wire.slowest())
	s.eachWrong(func(c *client, v *virtual, e *entry) {
		s.fail("client", "%s: packets to %v still go to %s", c.name, v.addr, e.node.name)
	})
}

// eachWrong visits the entries that lead to a node that does not answer.
func (w *world) eachWrong(visit func(*client, *virtual, *entry)) {
	for _, c := range w.clients {
		for _, v := range w.virtuals {
			if e := &c.entries[v.index]; v.mask != 0 && e.node != nil && v.mask&(1<<e.node.id) == 0 {
				visit(c, v, e)
			}
		}
	}
}

func (w *world) anyWrong() (wrong bool) {
	w.eachWrong(func(*client, *virtual, *entry) { wrong = true })
	return wrong
}

// refresh is how long it takes until the owner of an address announces it.
func (w *world) refresh(v *virtual) time.Duration {
	for _, m := range w.nodes {
		if r := m.answering(v.addr); r != nil {
			if a := r.announcing(); a.Refresh > 0 {
				return a.Refresh + a.Delay + a.burst()
			}
		}
	}
	return never / 2
}

package vrrp

import (
	"net/netip"
	"time"
)

// client is a host that talks to the virtual addresses all the time. Where its
// packets arrive depends on its ARP and ND cache, and with a virtual MAC on its
// switch's table. Both believe what they hear last; what they do not hear
// leaves them as they are. It asks anew only when an entry is too old.
type client struct {
	name    string
	id      int           // its end of the wire
	timeout time.Duration // of an entry
	entries []entry       // as world.virtuals
}

// entry is what a client knows about one address.
type entry struct {
	node   *member       // where its packets go; nil: not known
	at     time.Duration // when it learned that
	asking bool          // a flight is under way
}

// virtual is a virtual address, of any node.
type virtual struct {
	index  int
	addr   netip.Addr
	mask   uint16 // by id, the nodes that answer for it
	told   bool   // announced since mend
	mended uint16 // mask when mend began
}

// askSpacing is between the questions of a client that gets no answer.
const askSpacing = time.Second

// know makes the world aware of the addresses of routers.
func (w *world) know(routers []Router) {
	for i := range routers {
		for _, p := range routers[i].Addresses {
			if w.address(p.Addr()) == nil {
				w.virtuals = append(w.virtuals, &virtual{index: len(w.virtuals), addr: p.Addr()})
			}
		}
	}
	for _, c := range w.clients {
		for i := len(c.entries); i < len(w.virtuals); i++ {
			c.entries = append(c.entries, entry{})
			w.askAt(c, w.virtuals[i], w.at+askSpacing)
		}
	}
}

// address is what the world knows of a virtual address, or nil.
func (w *world) address(a netip.Addr) *virtual {
	for _, v := range w.virtuals {
		if v.addr == a {
			return v
		}
	}
	return nil
}

func (w *world) addClient(name string, timeout time.Duration) {
	w.clients = append(w.clients, &client{name: name, id: w.wire.end(), timeout: timeout})
	w.know(nil)
}

// announce carries an announcement to the clients.
func (w *world) announce(m *member, a Announce) {
	for _, p := range a.Addresses {
		if v := w.address(p.Addr()); v != nil && len(w.clients) > 0 {
			v.told = v.told || !m.cut && !m.mute
			w.show(m, v)
		}
	}
}

// teach lets the clients' switches see a frame from the virtual MAC of a router.
func (w *world) teach(m *member, k Key) {
	for i := range m.routers {
		if m.routers[i].Key != k {
			continue
		}
		for _, p := range m.routers[i].Addresses {
			w.show(m, w.address(p.Addr()))
		}
	}
}

// show tells all clients that an address is at a node.
func (w *world) show(m *member, v *virtual) {
	for _, c := range w.clients {
		at, _, ok := w.transit(m.id, c.id)
		e := &c.entries[v.index]
		switch {
		case !ok || m.cut || m.mute:
			w.count("announcement missed")
		case at >= e.at:
			e.node, e.at = m, at
		}
	}
}

// misled excuses the clients that believe a node without its rivals' fault.
func (w *world) misled(m *member) {
	for _, c := range w.clients {
		for i := range c.entries {
			if e := &c.entries[i]; e.node == m {
				w.virtuals[i].mended &^= 1 << m.id
			}
		}
	}
}

func (w *world) askAt(c *client, v *virtual, at time.Duration) {
	if e := &c.entries[v.index]; !e.asking {
		e.asking = true
		w.wire.push(flight{at: at, client: c, address: v})
	}
}

// ask lets a client find out where an address is, if its entry is too old.
func (w *world) ask(c *client, v *virtual) {
	e := &c.entries[v.index]
	e.asking = false
	if e.node != nil && e.at+c.timeout > w.at {
		w.askAt(c, v, e.at+c.timeout)
		return
	}
	e.node = nil
	for _, m := range w.nodes {
		if v.mask&(1<<m.id) == 0 || m.deaf || m.mute {
			continue
		}
		_, _, asked := w.transit(c.id, m.id)
		at, _, answered := w.transit(m.id, c.id)
		if asked && answered { // the last answer counts
			e.node, e.at = m, at
			w.count("client asks")
		}
	}
	if e.node == nil {
		w.askAt(c, v, w.at+askSpacing)
		return
	}
	w.askAt(c, v, e.at+c.timeout)
}

package gossip

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sys/unix"

	"harmony/vrrp"
)

// way is the gossip over one interface.
type way struct {
	*sockets
	mesh    *Mesh
	changed func()
	book    *book // guarded by mesh.mu, like all that follows

	buf     []byte // the engine's
	own     netip.Addr
	since   time.Time // when own was known
	closed  bool
	joining bool // the sockets just have begun, or have another address
	joined  bool // a seed has answered, or there is none
	trouble string
	list    *memberlist.Memberlist
	keyring *memberlist.Keyring // of list
	port    *port
	drops   Drops
	deaf    map[netip.Addr]bool // whose packets cannot be read, and was told of
	end     chan struct{}
	wake    chan struct{} // capacity 1: the address has changed
	ending  sync.Once
}

// joinLimit is for how long routers wait for the first answer of another node.
const joinLimit = 3 * time.Second

// Drops counts what was not listened to.
type Drops struct {
	Unreadable uint64 `json:"unreadable"` // sealed with a key that we do not have, or spoilt
	Malformed  uint64 `json:"malformed"`
	Replayed   uint64 `json:"replayed"`  // said before, or in a former life of the sender
	Misguided  uint64 `json:"misguided"` // meant for a former life of ours
	Strangers  uint64 `json:"strangers"` // from nodes that have not introduced themselves
	Namesakes  uint64 `json:"namesakes"` // from a node with our own name
}

func newWay(m *Mesh, s *sockets, b *book, changed func()) *way {
	return &way{
		sockets: s, mesh: m, book: b, changed: changed, joining: true, trouble: "no address of the node's own",
		buf: make([]byte, maxDatagram), deaf: map[netip.Addr]bool{}, end: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// FD implements vrrp.Way.
func (w *way) FD() int { return w.udp }

// Receive implements vrrp.Way. What is not an advert it deals with itself.
func (w *way) Receive() (vrrp.Received, error) {
	for {
		n, from, err := w.receive(w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return vrrp.Received{}, vrrp.ErrNoAdvert
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return vrrp.Received{}, err
		}
		if m, ok := w.hear(w.buf[:n], from); ok {
			return m.received(w.iface), nil
		}
	}
}

// hear takes in a datagram, and returns the fresh advert in it, if it has one.
func (w *way) hear(b []byte, from netip.AddrPort) (message, bool) {
	s := w.mesh.sealers.Load()
	what, text, by := unpack(s.aeads, b)
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	switch what {
	case foreign:
		w.drops.Malformed++
	case unreadable:
		w.drops.Unreadable++
		w.tellDeaf(from.Addr())
	case membership:
		if w.port != nil {
			w.port.packet(b, from)
		}
	case user:
		m, err := parse(text)
		if err != nil {
			w.drops.Malformed++
			break
		}
		var sealedBy mark
		if len(s.marks) > 0 {
			sealedBy = s.marks[by]
		}
		return m, w.judge(m, sealedBy)
	}
	return message{}, false
}

// tellDeaf logs once that a node cannot be understood.
func (w *way) tellDeaf(from netip.Addr) {
	if !w.deaf[from] && len(w.deaf) < maxPeers {
		w.deaf[from] = true
		w.mesh.o.Log.Warn("gossip that cannot be read; more is only counted: has this node another key?", "from", from.String(), "iface", w.iface)
	}
}

// judge acts on a message, and says whether it is an advert to be heard.
// mesh.mu is held.
func (w *way) judge(m message, sealedBy mark) bool {
	now := time.Now()
	if m.kind == kindHello && m.from != w.book.self && w.book.outlive(m.to) {
		w.mesh.o.Log.Warn("this node's clock was ahead in its last life; it goes on from there", "iface", w.iface)
	}
	before := w.book.outline(m.from)
	p, v := w.book.take(m, sealedBy, now)
	w.mesh.dirty = w.mesh.dirty || w.book.outline(m.from) != before
	switch v {
	case accept:
		delete(w.deaf, p.addr.Addr())
	case replayed:
		w.drops.Replayed++
	case misguided:
		w.drops.Misguided++
	case stranger:
		w.drops.Strangers++
	case namesake:
		if w.drops.Namesakes++; w.drops.Namesakes == 1 {
			w.mesh.o.Log.Error("another node has this node's name; neither hears the other", "node", w.book.self, "iface", w.iface)
		}
	}
	switch {
	case v == misguided || v == replayed && m.kind == kindHello && m.epoch < p.epoch || v == accept && m.kind == kindHello && m.hello.ask:
		w.greet(p, v != accept, now)
	}
	if v != accept {
		return false
	}
	switch m.kind {
	case kindHello:
		w.settle(now)
		w.mesh.kick()
	case kindKeys:
		w.mesh.offers = append(w.mesh.offers, m.keys)
		w.mesh.kick()
	}
	return m.kind == kindAdvert
}

// greetSpacing is the least time between hellos to a peer that nobody has asked
// for.
const greetSpacing = 20 * time.Millisecond

// greet introduces us to a peer. mesh.mu is held.
func (w *way) greet(p *peer, ask bool, now time.Time) {
	if now.Sub(p.greeted) < greetSpacing && ask || !w.own.IsValid() || !p.addr.IsValid() {
		return
	}
	p.greeted = now
	m := w.introduction(p, ask)
	_ = w.send(w.mesh.seal(m.marshal(), p), w.own, p.addr) // the next one may arrive
}

func (w *way) introduction(p *peer, ask bool) message {
	m := w.book.next(kindHello, p)
	r := w.mesh.ring
	m.hello = hello{ask: ask, addr: netip.AddrPortFrom(w.own, w.sockets.port), active: r.active(), newest: r.newest()}
	return m
}

// Send implements vrrp.Way: an advert goes to everybody in the book.
func (w *way) Send(s vrrp.Send) error {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	var failed error
	for _, p := range w.book.audience() {
		m := w.book.next(kindAdvert, p)
		m.advert = advert{id: s.Gossip, src: s.Src, packet: s.Packet}
		if err := w.send(w.mesh.seal(m.marshal(), p), w.own, p.addr); err != nil && !unreachable(err) {
			failed = err
		}
	}
	return failed
}

// unreachable says that a single peer cannot be reached, which is not our
// trouble.
func unreachable(err error) bool {
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ECONNREFUSED)
}

// Addresses implements vrrp.Way: the first IPv4 address is the one that the
// others are told, or else the first IPv6 address that is more than link-local.
func (w *way) Addresses(list []netip.Prefix) {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	if slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr() == w.own }) {
		return
	}
	w.own = advertised(list, w.family == unix.AF_INET6)
	w.joining, w.joined, w.since = true, false, time.Now()
	w.trouble = "no address of the node's own"
	if w.own.IsValid() {
		w.trouble = "no other node has answered yet"
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	w.mesh.kick()
}

func advertised(list []netip.Prefix, ipv6 bool) netip.Addr {
	for _, p := range list {
		if p.Addr().Is4() {
			return p.Addr()
		}
	}
	for _, p := range list {
		if ipv6 && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Trouble implements vrrp.Way.
func (w *way) Trouble() string {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	return w.trouble
}

// settle ends the wait for others: when all that are there send us their
// adverts, or when the time is over. mesh.mu is held.
func (w *way) settle(now time.Time) {
	if !w.joining || !w.own.IsValid() || w.closed {
		return
	}
	if w.joined && w.book.known() || now.Sub(w.since) >= joinLimit {
		w.joining, w.trouble = false, ""
		w.changed()
	}
}

// tend greets whom it is time to greet, and gives late peers the key.
// mesh.mu is held.
func (w *way) tend(now time.Time, all bool) {
	if w.closed || !w.own.IsValid() {
		return
	}
	active := w.mesh.ring.active()
	for _, p := range w.book.audience() {
		if all || now.Sub(p.greeted) >= greetInterval || w.joining && !p.answered {
			w.greet(p, true, now)
		}
		if k, ok := w.mesh.ring.find(active.mark); ok && p.epoch != 0 && active.generation > 0 && p.active.compare(active) < 0 &&
			now.Sub(p.heard) < silence && (w.mesh.rotation == nil || w.mesh.rotation.phase != installing) {
			w.offer(p, offer{active.generation, k.key, true})
		}
	}
	w.settle(now)
}

// offer gives a peer a key. mesh.mu is held.
func (w *way) offer(p *peer, o offer) {
	m := w.book.next(kindKeys, p)
	m.keys = o
	_ = w.send(w.mesh.seal(m.marshal(), p), w.own, p.addr) // it is offered again
}

// Close implements vrrp.Way. The goroutines end by themselves; Mesh.Close
// waits for them.
func (w *way) Close() {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	for range 2 { // one may get lost
		for _, p := range w.book.audience() {
			_ = w.send(w.mesh.seal(w.book.next(kindBye, p).marshal(), p), w.own, p.addr) // we leave in any case
		}
	}
	if w.mesh.ways[w.iface] == w {
		delete(w.mesh.ways, w.iface)
	}
	w.ending.Do(func() { close(w.end) })
}

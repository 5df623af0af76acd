package gossip

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"
)

// book is what a node knows of the others on one interface: where they are,
// and what they have said last, so that nothing is heard twice. It decides
// whom to believe and whom to send to, without sockets or clocks.
//
// A message is fresh only if it names this life of the receiver, which the
// sender has learned by a hello, and is later than all before it. So what
// somebody has recorded is worth nothing, not even after a restart of either
// side. Hellos need no freshness: they move a peer's life forward only.
type book struct {
	self  string
	epoch uint64 // our life
	seq   uint64 // of our last message
	peers map[string]*peer
}

// peer is another node.
type peer struct {
	name     string
	addr     netip.AddrPort
	epoch    uint64            // its life; 0 while it is not known
	control  uint64            // the last sequence, adverts apart
	adverts  map[stream]uint64 // and of adverts
	left     bool              // it has said goodbye
	member   bool              // memberlist has it alive
	answered bool              // it has greeted this life of ours: it sends us adverts
	heard    time.Time         // the last fresh message or hello
	greeted  time.Time         // our last hello to it
	active   stamp             // the keys it has, by its last hello
	newest   stamp
	mark     mark // of the key that its last message was sealed with
}

// stream is the adverts of one router.
type stream struct {
	id   uint32
	ipv6 bool
}

// verdict is what to do with a message.
type verdict uint8

const (
	accept    verdict = iota
	replayed          // said before, or in a former life
	misguided         // meant for another life of ours: the sender has to learn of this one
	stranger          // from a node that we know nothing of, and no hello
	namesake          // from a node with our own name
)

// maxPeers bounds the book. Only who has the key gets into it.
const maxPeers = 1024

func newBook(self string, epoch uint64) *book {
	return &book{self: self, epoch: epoch, peers: map[string]*peer{}}
}

// take judges a message and notes what it tells.
func (b *book) take(m message, sealedBy mark, now time.Time) (*peer, verdict) {
	if m.from == b.self {
		return nil, namesake
	}
	p := b.peers[m.from]
	if m.kind == kindHello {
		return b.greet(p, m, sealedBy, now)
	}
	switch {
	case p == nil:
		return nil, stranger
	case m.epoch < p.epoch:
		return p, replayed
	case m.to != b.epoch:
		return p, misguided
	}
	b.enter(p, m.epoch)
	last := p.control
	s := stream{m.advert.id, m.advert.src.Is6()}
	if m.kind == kindAdvert {
		last = p.adverts[s]
	}
	if m.seq <= last {
		return p, replayed
	}
	switch m.kind {
	case kindAdvert:
		p.adverts[s] = m.seq
	case kindBye:
		p.control, p.left, p.answered = m.seq, true, false
	default:
		p.control = m.seq
	}
	p.left = m.kind == kindBye
	p.heard, p.mark = now, sealedBy
	return p, accept
}

// greet takes in a hello.
func (b *book) greet(p *peer, m message, sealedBy mark, now time.Time) (*peer, verdict) {
	if p == nil {
		if p = b.add(m.from, m.hello.addr); p == nil {
			return nil, stranger
		}
	}
	if m.epoch < p.epoch || m.epoch == p.epoch && m.seq <= p.control {
		return p, replayed
	}
	b.enter(p, m.epoch)
	p.control, p.addr, p.heard, p.mark = m.seq, m.hello.addr, now, sealedBy
	p.active, p.newest, p.left = m.hello.active, m.hello.newest, false
	if m.to == b.epoch {
		p.answered = true
	}
	return p, accept
}

// enter begins a new life of a peer, in which it counts anew.
func (b *book) enter(p *peer, epoch uint64) {
	if epoch > p.epoch {
		p.epoch, p.control, p.adverts, p.answered = epoch, 0, map[stream]uint64{}, false
	}
}

// add writes a node down, or returns nil when the book is full of nodes that
// are there.
func (b *book) add(name string, addr netip.AddrPort) *peer {
	if len(b.peers) >= maxPeers && !b.forget() {
		return nil
	}
	p := &peer{name: name, addr: addr, adverts: map[stream]uint64{}}
	b.peers[name] = p
	return p
}

// forget strikes out the node that has left, or was not heard, for the longest.
// What it has said must not become news by that: we begin a new life.
func (b *book) forget() bool {
	var oldest *peer
	for _, p := range b.peers {
		if !p.answered && !p.member && (oldest == nil || p.heard.Before(oldest.heard)) {
			oldest = p
		}
	}
	if oldest == nil {
		return false
	}
	delete(b.peers, oldest.name)
	b.begin(b.epoch + 1)
	return true
}

// member notes what memberlist says of a node. A node that was never heard is
// found at the address it says. Only the node itself can say that it has left:
// a rumour may be older than its next life.
func (b *book) member(name string, addr netip.AddrPort, alive bool) {
	if name == b.self {
		return
	}
	p := b.peers[name]
	if p == nil {
		if !alive {
			return
		}
		if p = b.add(name, addr); p == nil {
			return
		}
	}
	p.member = alive
	if alive && p.epoch == 0 {
		p.addr = addr
	}
}

// outlive makes our life later than one that others know of us: the clock has
// gone backwards in between.
func (b *book) outlive(known uint64) bool {
	if known <= b.epoch || known == math.MaxUint64 {
		return false
	}
	b.begin(known + 1)
	return true
}

// begin begins a new life of ours: nothing that was ever said to us is fresh.
func (b *book) begin(epoch uint64) {
	b.epoch, b.seq = epoch, 0
	for _, p := range b.peers {
		p.answered = false
	}
}

// next begins a message to a peer.
func (b *book) next(k kind, to *peer) message {
	b.seq++
	m := message{kind: k, from: b.self, epoch: b.epoch, seq: b.seq}
	if to != nil {
		m.to = to.epoch
	}
	return m
}

// audience are the peers to send to, by name: all but those that have left.
// Whether memberlist has them alive plays no part.
func (b *book) audience() []*peer {
	var list []*peer
	for _, p := range b.peers {
		if !p.left && p.addr.IsValid() {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(p, q *peer) int { return cmp.Compare(p.name, q.name) })
	return list
}

// outline is what is kept of a peer over a crash of ours.
func (b *book) outline(name string) (o struct {
	life, ours uint64
	addr       netip.AddrPort
	left       bool
}) {
	o.ours = b.epoch
	if p := b.peers[name]; p != nil {
		o.life, o.addr, o.left = p.epoch, p.addr, p.left
	}
	return o
}

// live are the peers that have been heard lately.
func (b *book) live(now time.Time) []*peer {
	return slices.DeleteFunc(b.audience(), func(p *peer) bool { return now.Sub(p.heard) > silence })
}

// known says whether every member that is alive sends us its adverts.
func (b *book) known() bool {
	return !slices.ContainsFunc(b.audience(), func(p *peer) bool { return p.member && !p.answered })
}

// silence is after how long without any message a peer does not count as there.
const silence = 5 * time.Second

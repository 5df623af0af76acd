package gossip

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

func slogTo(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(testWriter{t}, nil)) }

var (
	begin = time.Unix(1000, 0)
	addrB = netip.MustParseAddrPort("10.0.0.2:7946")
)

// pen writes messages of node b to node a, which is in its life 100.
type pen struct{ epoch, to, seq uint64 }

func (p *pen) write(k kind) message {
	p.seq++
	m := message{kind: k, from: "b", epoch: p.epoch, to: p.to, seq: p.seq}
	if k == kindAdvert {
		m.advert = advert{id: 1, src: addrB.Addr(), packet: []byte{1}}
	}
	if k == kindHello {
		m.hello.addr = addrB
	}
	return m
}

// TestBookFreshness: an advert is heard once, in order, in the life it was
// meant for, from the life it was said in.
func TestBookFreshness(t *testing.T) {
	b := newBook("a", 100)
	take := func(what string, m message, want verdict) {
		t.Helper()
		if _, v := b.take(m, mark{}, begin); v != want {
			t.Errorf("%s: verdict %d, want %d", what, v, want)
		}
	}
	p := &pen{epoch: 5, to: 100}
	take("advert of nobody known", p.write(kindAdvert), stranger)
	first := p.write(kindHello)
	take("hello", first, accept)
	take("hello again", first, replayed)
	one, two, three := p.write(kindAdvert), p.write(kindAdvert), p.write(kindAdvert)
	take("advert", one, accept)
	take("advert again", one, replayed)
	take("later advert", three, accept)
	take("late advert", two, replayed)
	other := two
	other.advert.id = 2
	take("of another router it is not late", other, accept)
	other.advert.src = netip.MustParseAddr("fe80::1")
	take("nor of another family", other, accept)

	lost := &pen{epoch: 5, to: 99, seq: 50}
	take("meant for our former life", lost.write(kindAdvert), misguided)
	unknown := &pen{epoch: 5, to: 0, seq: 60}
	take("meant for no life", unknown.write(kindAdvert), misguided)
	take("after that the right ones are heard", p.write(kindAdvert), accept)

	next := &pen{epoch: 6, to: 100}
	old := p.write(kindAdvert)
	take("the next life counts anew", next.write(kindAdvert), accept)
	take("the former one is over", old, replayed)
	take("and its hellos too", p.write(kindHello), replayed)

	self := next.write(kindHello)
	self.from = "a"
	take("our own name", self, namesake)
}

// TestBookKeys: a key is taken once, and only when it is meant for this life.
func TestBookKeys(t *testing.T) {
	b := newBook("a", 100)
	p := &pen{epoch: 5, to: 100}
	b.take(p.write(kindHello), mark{}, begin)
	m := p.write(kindKeys)
	if _, v := b.take(m, mark{}, begin); v != accept {
		t.Errorf("fresh: %d", v)
	}
	if _, v := b.take(m, mark{}, begin); v != replayed {
		t.Errorf("again: %d", v)
	}
	p.to = 99
	if _, v := b.take(p.write(kindKeys), mark{}, begin); v != misguided {
		t.Errorf("for another life: %d", v)
	}
}

// TestBookAudience: memberlist's opinion does not end that a node is sent to;
// its own goodbye does, until it comes again.
func TestBookAudience(t *testing.T) {
	b := newBook("a", 100)
	sends := func(what string, want int) {
		t.Helper()
		if got := len(b.audience()); got != want {
			t.Errorf("%s: sends to %d, want %d", what, got, want)
		}
	}
	b.member("a", addrB, true)
	sends("to itself", 0)
	b.member("c", addrB, false)
	sends("to a stranger who is dead", 0)
	b.member("b", addrB, true)
	sends("to a member", 1)
	b.member("b", addrB, false)
	sends("to a dead one", 1)
	p := &pen{epoch: 5, to: 100}
	b.take(p.write(kindHello), mark{}, begin)
	b.take(p.write(kindBye), mark{}, begin)
	sends("to one that has left", 0)
	b.member("b", addrB, true)
	sends("after an old rumour", 0)
	b.take((&pen{epoch: 6}).write(kindHello), mark{}, begin)
	sends("to one that comes again", 1)
}

// TestBookKnown: routers wait until all members that are there have greeted
// this life of ours.
func TestBookKnown(t *testing.T) {
	b := newBook("a", 100)
	if !b.known() {
		t.Error("alone, nobody is to be waited for")
	}
	b.member("b", addrB, true)
	if b.known() {
		t.Error("does not wait for b")
	}
	p := &pen{epoch: 5, to: 99}
	b.take(p.write(kindHello), mark{}, begin)
	if b.known() {
		t.Error("takes a greeting of its former life")
	}
	p.to = 100
	b.take(p.write(kindHello), mark{}, begin)
	if !b.known() {
		t.Error("waits on")
	}
	b.take((&pen{epoch: 6}).write(kindHello), mark{}, begin)
	if b.known() {
		t.Error("b's next life does not know us yet")
	}
	b.member("b", addrB, false)
	if !b.known() {
		t.Error("waits for the dead")
	}
}

// TestBookOutlive: a life that begins before the one that others know goes on
// after it, and everything said to it until then is old.
func TestBookOutlive(t *testing.T) {
	b := newBook("a", 100)
	b.take((&pen{epoch: 5, to: 100}).write(kindHello), mark{}, begin)
	switch {
	case b.outlive(100), b.outlive(3), b.outlive(1<<64 - 1):
		t.Error("changes its life without a reason")
	case !b.outlive(200) || b.epoch != 201:
		t.Errorf("is in life %d", b.epoch)
	}
	if _, v := b.take((&pen{epoch: 5, to: 100, seq: 9}).write(kindAdvert), mark{}, begin); v != misguided {
		t.Errorf("hears what was meant for the former life: %d", v)
	}
}

// TestBookFull: nobody is thrown out who is there, and what is forgotten does
// not become news.
func TestBookFull(t *testing.T) {
	b := newBook("a", 100)
	gone := &pen{epoch: 5, to: 99}
	recorded := gone.write(kindHello)
	b.take(recorded, mark{}, begin)
	b.take((&pen{epoch: 5, to: 100, seq: 1}).write(kindAdvert), mark{}, begin)
	for i := len(b.peers); i < maxPeers; i++ {
		b.member(string(rune('A'+i%26))+string(rune('A'+i/26)), addrB, true)
	}
	b.member("one more", addrB, true)
	if b.peers["one more"] == nil || b.peers["b"] != nil {
		t.Error("the one that is gone was not replaced")
	}
	b.member("one more", addrB, false)
	if _, v := b.take(recorded, mark{}, begin); v != accept || b.peers["one more"] != nil {
		t.Errorf("the one that is gone was not replaced again: %d", v)
	}
	if _, v := b.take((&pen{epoch: 5, to: 100, seq: 1}).write(kindAdvert), mark{}, begin); v == accept {
		t.Error("hears a recording of one that was forgotten meanwhile")
	}
	b.member("b", addrB, true)
	if b.member("too many", addrB, true); b.peers["too many"] != nil {
		t.Error("a live node was replaced")
	}
}

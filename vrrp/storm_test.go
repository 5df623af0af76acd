package vrrp

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var packets = flag.Int("packets", 100_000, "number of packets in the storm")

// storm is a node of every kind of router in a rain of packets, most of them
// genuine ones with something changed.
type storm struct {
	*testing.T
	rnd     *rand.Rand
	node    *Node
	now     time.Time
	genuine []Received
	signed  map[string]bool // what may be believed of authenticated adverts: once
}

// TestStorm: no packet does harm. Who refuses one stays as it was, and an advert
// that shall be authenticated is believed only if it is genuine to the bit, and
// only once.
func TestStorm(t *testing.T) {
	s := &storm{T: t, rnd: rand.New(rand.NewPCG(3, 112)), node: NewNode(), now: time.Unix(1_750_000_000, 0)}
	s.node.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(self, 24), netip.MustParsePrefix("fe80::1/64")}}, s.now)
	s.node.Step(Configure{Routers: fuzzedRouters()}, s.now)
	accepted := 0
	for n := range *packets {
		if n%64 == 0 {
			s.advance()
		}
		if s.rain() {
			accepted++
		}
		if t.Failed() {
			t.Fatalf("packet %d", n)
		}
	}
	dropped := map[string]uint64{}
	for _, st := range s.node.Status() {
		for reason, count := range st.Counters.Dropped {
			dropped[reason.String()] += count
		}
	}
	for reason, count := range s.node.Strays() {
		dropped[reason.String()] += count
	}
	t.Logf("%d packets, %d accepted, refused for %v", *packets, accepted, dropped)
	for r := DropReason(1); r < dropReasons; r++ {
		if dropped[r.String()] == 0 {
			t.Errorf("no packet was refused for %q", r.String())
		}
	}
}

// advance lets time pass, and makes what the peers send now.
func (s *storm) advance() {
	s.now = s.now.Add(time.Duration(s.rnd.IntN(400)) * time.Millisecond)
	if at, ok := s.node.Deadline(); ok && !s.now.Before(at) {
		s.node.Step(Tick{}, s.now)
	}
	s.genuine, s.signed = s.genuine[:0], map[string]bool{}
	for _, r := range fuzzedRouters() {
		r.Priority.Base = uint8(1 + s.rnd.IntN(254))
		src := netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + s.rnd.IntN(3))})
		if r.Family == IPv6 {
			src = netip.MustParseAddr("fe80::2")
		}
		skew := time.Duration(s.rnd.IntN(14)-7) * time.Second
		e := advertOf(r, src, s.now.Add(skew))
		if r.Auth.Type == AuthAH && s.rnd.IntN(2) == 0 {
			e = advertOf(r, src, s.now.Add(-time.Hour))
		}
		s.genuine = append(s.genuine, e)
		s.signed[imprint(e)] = true
	}
}

// imprint is all of a packet that its signature covers.
func imprint(e Received) string {
	b := slices.Clone(e.Packet)
	if e.AH {
		b = binary.BigEndian.AppendUint16(b, e.ID)
		b = append(b, e.Dst.AsSlice()...)
	} else if len(b) > 7 {
		b[6], b[7] = 0, 0
	}
	return string(append(b, e.Src.AsSlice()...))
}

// rain lets one packet arrive, and says whether it was accepted.
func (s *storm) rain() bool {
	e := s.spoil(s.genuine[s.rnd.IntN(len(s.genuine))])
	before, print := s.received(), s.print()
	actions := s.node.Step(e, s.now)
	if s.received() > before {
		s.believed(e)
		return true
	}
	for _, a := range actions {
		if _, ok := a.(Refused); !ok {
			s.Errorf("refused, and yet %s: %+v", describe(a), e)
		}
	}
	if !slices.Equal(print, s.print()) {
		s.Errorf("refused, and yet the state has changed: %+v", e)
	}
	return false
}

// believed checks an accepted advert of a router that believes signatures only.
func (s *storm) believed(e Received) {
	packet, _ := e.advert()
	r := s.node.wire[wireKey{iface: e.Interface, family: familyOf(e.Src), vrid: packet[1]}][0]
	if r.Auth.Type != AuthAH && (r.Auth.Type != AuthHMAC || r.Auth.Mode != Enforce) {
		return
	}
	if i := imprint(e); !s.signed[i] {
		s.Errorf("believed, and not genuine, or for the second time: %+v", e)
	} else {
		delete(s.signed, i)
	}
}

// spoil changes nothing, a little, or a lot.
func (s *storm) spoil(e Received) Received {
	e.Packet = slices.Clone(e.Packet)
	for range s.rnd.IntN(4) {
		s.change(&e)
	}
	if s.rnd.IntN(3) == 0 { // make the checksum right, so that more is looked at
		if packet, ok := e.advert(); ok && len(packet) >= headerLen && e.Src.Is4() == e.Dst.Is4() {
			a := Advert{Version: Version(s.rnd.IntN(2)), Checksum: Checksum(s.rnd.IntN(2)), Addresses: make([]netip.Addr, packet[3])}
			a.seal(packet[:min(len(packet), a.size(familyOf(e.Src)))], e.Src, e.Dst)
		}
	}
	return e
}

func (s *storm) change(e *Received) {
	at := 0
	if len(e.Packet) > 0 {
		at = s.rnd.IntN(len(e.Packet))
	}
	switch s.rnd.IntN(12) {
	case 0, 1, 2, 3:
		if len(e.Packet) > 0 {
			e.Packet[at] ^= 1 << s.rnd.IntN(8)
		}
	case 4:
		e.Packet = e.Packet[:at]
	case 5:
		e.Packet = append(e.Packet, make([]byte, s.rnd.IntN(30))...)
	case 6: // the end of another one
		other := s.genuine[s.rnd.IntN(len(s.genuine))].Packet
		e.Packet = append(e.Packet[:at], other[min(at, len(other)):]...)
	case 7:
		e.TTL = s.rnd.IntN(256)
	case 8:
		if e.Src.Is4() {
			e.Src = netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + s.rnd.IntN(4))})
		}
	case 9:
		e.Dst = []netip.Addr{group4, group6, self}[s.rnd.IntN(3)]
	case 10:
		e.AH = !e.AH
	case 11:
		e.ID++
	}
}

func (s *storm) received() (n uint64) {
	for _, r := range s.node.routers {
		n += r.counters.Received
	}
	return n
}

// print is what of a router an advert that is heard would change.
type print struct {
	state                                  State
	since                                  time.Time
	peer                                   Peer
	interval                               time.Duration
	downFrom, preemptAt, advertAt, leaveBy time.Time
	released, answering                    bool
	ahSent, ahHeard                        uint32
	signed                                 uint64
	senders                                int
	last                                   uint64
}

func (s *storm) print() []print {
	list := make([]print, len(s.node.routers))
	for i, r := range s.node.routers {
		p := print{
			state: r.state, since: r.since, peer: r.peer, interval: r.masterInterval,
			downFrom: r.downFrom, preemptAt: r.preemptAt, advertAt: r.advertAt, leaveBy: r.leaveBy,
			released: r.released, answering: r.answering,
			ahSent: r.memory.ahSent, ahHeard: r.memory.ahHeard, signed: r.memory.signed, senders: len(r.memory.heard),
		}
		for _, seq := range r.memory.heard {
			p.last += seq
		}
		list[i] = p
	}
	return list
}

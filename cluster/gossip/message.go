package gossip

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"harmony/vrrp"
)

// message is what nodes say to each other, each to one other: who says it in
// which of its lives, to which life of the other, and in what order.
type message struct {
	kind  kind
	from  string // the sender's name
	epoch uint64 // the sender's life; later ones are greater
	to    uint64 // the receiver's life as the sender knows it; 0: it does not
	seq   uint64 // grows with every message of a life

	advert advert // kindAdvert
	hello  hello  // kindHello
	keys   offer  // kindKeys
}

type kind uint8

const (
	kindAdvert kind = iota + 1 // a VRRP packet
	kindHello                  // here I am; with ask, so who are you?
	kindKeys                   // a key
	kindBye                    // I leave for good
)

// advert is a VRRP packet for the router with that id.
type advert struct {
	id     uint32
	src    netip.Addr // the address the sender's router speaks from
	packet []byte
}

// hello introduces the sender.
type hello struct {
	ask    bool           // the receiver shall answer
	addr   netip.AddrPort // where the sender listens
	active stamp          // the key it encrypts with
	newest stamp          // the newest key it can read
}

// offer is a key for the receiver.
type offer struct {
	generation uint64
	key        Key
	use        bool // encrypt with it; otherwise be able to read it
}

// stamp says which key is meant, and which of two is the later.
type stamp struct {
	generation uint64
	mark       mark
}

const (
	formatVersion = 1
	magic         = 0x48 // H
	maxName       = 253  // a DNS subdomain
)

var errMessage = errors.New("not a message of this version")

// marshal writes a message. The name must not be longer than maxName.
func (m message) marshal() []byte {
	b := make([]byte, 0, 128+len(m.from)+len(m.advert.packet))
	b = append(b, magic, formatVersion, byte(m.kind), byte(len(m.from)))
	b = append(b, m.from...)
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = binary.BigEndian.AppendUint64(b, m.to)
	b = binary.BigEndian.AppendUint64(b, m.seq)
	switch m.kind {
	case kindAdvert:
		b = binary.BigEndian.AppendUint32(b, m.advert.id)
		b = appendAddr(b, m.advert.src)
		b = append(b, m.advert.packet...)
	case kindHello:
		b = appendBool(b, m.hello.ask)
		b = appendAddr(b, m.hello.addr.Addr())
		b = binary.BigEndian.AppendUint16(b, m.hello.addr.Port())
		b = m.hello.active.append(b)
		b = m.hello.newest.append(b)
	case kindKeys:
		b = binary.BigEndian.AppendUint64(b, m.keys.generation)
		b = appendBool(b, m.keys.use)
		b = append(b, m.keys.key.secret[:]...)
	}
	return b
}

func (s stamp) append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, s.generation), s.mark[:]...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendAddr writes the length of an address and the address.
func appendAddr(b []byte, a netip.Addr) []byte {
	raw := a.AsSlice()
	return append(append(b, byte(len(raw))), raw...)
}

// parse reads what marshal has written. The packet of an advert is part of b.
func parse(b []byte) (message, error) {
	r := reader{b: b}
	if r.byte() != magic || r.byte() != formatVersion {
		return message{}, errMessage
	}
	m := message{kind: kind(r.byte())}
	m.from = string(r.take(int(r.byte())))
	m.epoch, m.to, m.seq = r.uint64(), r.uint64(), r.uint64()
	switch m.kind {
	case kindAdvert:
		m.advert = advert{id: r.uint32(), src: r.addr()}
		m.advert.packet, r.b = r.b, nil
		r.bad = r.bad || m.advert.id == 0 || !m.advert.src.IsValid()
	case kindHello:
		m.hello.ask = r.bool()
		addr := r.addr()
		m.hello.addr = netip.AddrPortFrom(addr, r.uint16())
		m.hello.active, m.hello.newest = r.stamp(), r.stamp()
		r.bad = r.bad || !m.hello.addr.IsValid() || m.hello.addr.Port() == 0
	case kindKeys:
		m.keys.generation, m.keys.use = r.uint64(), r.bool()
		key := [KeySize]byte(r.take(KeySize))
		m.keys.key = Key{&key}
	case kindBye:
	default:
		r.bad = true
	}
	if r.bad || len(r.b) > 0 || m.from == "" || len(m.from) > maxName || m.epoch == 0 {
		return message{}, errMessage
	}
	return m, nil
}

// reader takes a message apart. bad is set when there is less than is asked
// for, or something else.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) bool() bool {
	v := r.byte()
	r.bad = r.bad || v > 1
	return v == 1
}

func (r *reader) stamp() stamp { return stamp{r.uint64(), mark(r.take(8))} }

// addr reads an address that a node can have: neither mapped nor with a zone.
func (r *reader) addr() netip.Addr {
	a, ok := netip.AddrFromSlice(r.take(int(r.byte())))
	r.bad = r.bad || !ok || a.Is4In6()
	return a
}

// received is the advert as the core hears it: as one that was sent to the
// multicast group of the link.
func (m message) received(iface string) vrrp.Received {
	return vrrp.Received{
		Interface: iface, Src: m.advert.src, Dst: vrrp.Group(m.advert.src), TTL: 255,
		Packet: m.advert.packet, Gossip: m.advert.id, Node: m.from,
	}
}

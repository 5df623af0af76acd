package gossip

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netns"

	"harmony/vrrp"
)

// Farewell speaks once more for a Mesh whose process has died, from what that
// has left in its state file: as the next life of the node, which the one that
// follows comes after.
type Farewell struct {
	node   string
	left   stored
	aead   cipher.AEAD // nil without encryption
	nonces nonces
	seq    uint64
	open   map[string]*sockets
}

// NewFarewell reads the state file of a node's Mesh that has died. Close ends
// it.
func NewFarewell(node, state string) (*Farewell, error) {
	f := &Farewell{node: node, open: map[string]*sockets{}}
	var err error
	if f.left, err = load(state); err != nil {
		return nil, err
	}
	if ring := f.left.ring(); len(ring.keys) > 0 {
		f.aead = newCipher(ring.keys[0].key)
	}
	return f, f.nonces.seed()
}

// Send sends an advert to everybody whom the Mesh knew on the interface.
func (f *Farewell) Send(s vrrp.Send) error {
	for _, w := range f.left.Ways {
		if w.Interface != s.Interface {
			continue
		}
		out, err := f.sockets(w.Interface)
		if err != nil {
			return err
		}
		var errs []error
		for _, p := range w.Peers {
			f.seq++
			m := message{kind: kindAdvert, from: f.node, epoch: w.Life + 1, to: p.Life, seq: f.seq}
			m.advert = advert{id: s.Gossip, src: s.Src, packet: s.Packet}
			if err := out.send(packUser(f.aead, f.nonces.next(), m.marshal()), netip.Addr{}, p.Addr); err != nil && !unreachable(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("no gossip was on %s", s.Interface)
}

// sockets returns those of an interface, of which only that for sending is
// open.
func (f *Farewell) sockets(iface string) (*sockets, error) {
	if s := f.open[iface]; s != nil {
		return s, nil
	}
	s := &sockets{iface: iface, udp: -1, ns: netns.None()}
	if err := s.openUDP(); err != nil {
		return nil, err
	}
	f.open[iface] = s
	return s, nil
}

// Close closes what was opened.
func (f *Farewell) Close() {
	for _, s := range f.open {
		s.close()
	}
}

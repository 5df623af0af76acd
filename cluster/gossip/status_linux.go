package gossip

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Status is what a node knows of gossip. It has no key in it.
type Status struct {
	Node  string           `json:"node"`
	Plain bool             `json:"plain,omitempty"` // not encrypted
	Keys  []KeyStatus      `json:"keys,omitempty"`  // the one in use first
	Peers []PeerStatus     `json:"peers,omitempty"`
	Drops map[string]Drops `json:"drops,omitempty"` // by interface
}

// KeyStatus is a key that the node can read.
type KeyStatus struct {
	Fingerprint string    `json:"fingerprint"`
	Generation  uint64    `json:"generation"`       // of rotations; 0 is a configured key
	Active      bool      `json:"active,omitempty"` // it encrypts
	Expires     time.Time `json:"expires,omitzero"` // when it is thrown away
}

// PeerStatus is another node on one interface.
type PeerStatus struct {
	Node      string         `json:"node"`
	Interface string         `json:"interface"`
	Addr      netip.AddrPort `json:"addr"`
	State     string         `json:"state"` // "alive", "silent" or "left"
	Heard     time.Time      `json:"heard,omitzero"`
	Key       string         `json:"key,omitempty"` // the fingerprint of the key it encrypts with
}

// Reasons are the counts by their labels.
func (d Drops) Reasons() map[string]uint64 {
	return map[string]uint64{
		"unreadable": d.Unreadable, "malformed": d.Malformed, "replayed": d.Replayed,
		"misguided": d.Misguided, "stranger": d.Strangers, "namesake": d.Namesakes,
	}
}

// Status tells what there is; nil before the first Configure.
func (m *Mesh) Status() *Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config == nil {
		return nil
	}
	s := &Status{Node: m.o.Node, Plain: m.config.Plain, Drops: map[string]Drops{}}
	for i, k := range m.ring.keys {
		s.Keys = append(s.Keys, KeyStatus{k.key.Fingerprint(), k.generation, i == 0, k.expires})
	}
	now := time.Now()
	for iface, w := range m.ways {
		s.Drops[iface] = w.drops
		for _, p := range w.book.peers {
			s.Peers = append(s.Peers, p.status(iface, now))
		}
	}
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Interface, b.Interface))
	})
	return s
}

func (p *peer) status(iface string, now time.Time) PeerStatus {
	s := PeerStatus{Node: p.name, Interface: iface, Addr: p.addr, State: "alive", Heard: p.heard}
	switch {
	case p.left:
		s.State = "left"
	case now.Sub(p.heard) > silence:
		s.State = "silent"
	}
	if p.mark != (mark{}) {
		s.Key = p.mark.String()
	}
	return s
}

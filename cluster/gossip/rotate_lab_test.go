package gossip

import (
	"context"
	"strings"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// inUse is the fingerprint of the key a node encrypts with.
func (m *member) inUse() string { return m.mesh.Status().Keys[0].Fingerprint }

// agree waits until all nodes that run encrypt with one key, and see each other
// do so, and returns it.
func (l *lab3) agree() string {
	l.Helper()
	var key string
	lab.Poll(l.T, patience, "all use one key", func() bool {
		key = ""
		for _, m := range l.nodes {
			if m.engine == nil {
				continue
			}
			if key == "" {
				key = m.inUse()
			}
			if m.inUse() != key {
				return false
			}
			for _, p := range m.mesh.Status().Peers {
				if p.State == "alive" && p.Key != key {
					return false
				}
			}
		}
		return true
	})
	return key
}

func (l *lab3) transitions() (n uint64) {
	for _, m := range l.nodes {
		n += m.status().Counters.Transitions
	}
	return n
}

// TestLabGossipRotation: the key is changed again and again, led by every node
// in turn, while 20 routers advertise every 20 ms. No router changes its state,
// and no advert is refused.
func TestLabGossipRotation(t *testing.T) {
	l := newLab3(t)
	l.owner(l.nodes[0])
	for _, m := range l.nodes {
		for i := range 20 {
			r := router(m.base)
			r.Name, r.Gossip, r.VRID = "load-"+string(rune('a'+i)), uint32(1000+i), uint8((1000+i)%256)
			r.Addresses = loadAddress(i)
			r.AdvertInterval = 20 * time.Millisecond
			r.DownAdverts = 20 // a busy machine is not what is tried here
			m.routers = append(m.routers, r)
		}
		if err := m.engine.Set(m.routers); err != nil {
			t.Fatal(err)
		}
	}
	lab.Poll(t, patience, "a owns all", func() bool {
		for i, m := range l.nodes {
			for _, s := range m.engine.Status() {
				if i == 0 && s.State != vrrp.Master || i > 0 && (s.State != vrrp.Backup || s.Owner.Name != "node-a") {
					return false
				}
			}
		}
		return true
	})
	before := l.agree()
	counted := l.transitions()
	for round := range 6 {
		m := l.nodes[round%3]
		text, err := m.mesh.Rotate(t.Context())
		if err != nil || !strings.Contains(text, m.inUse()) {
			t.Fatalf("%q, %v", text, err)
		}
		if now := l.agree(); now == before {
			t.Fatalf("round %d: still %s", round, now)
		} else {
			before = now
		}
	}
	if now := l.transitions(); now != counted {
		t.Errorf("%d transitions", now-counted)
	}
	for _, m := range l.nodes {
		for _, s := range m.engine.Status() {
			if len(s.Counters.Dropped) > 0 {
				t.Errorf("%s: %s: %+v", m.Name(), s.Router.Name, s.Counters)
			}
		}
		if d := m.mesh.Status().Drops["eth0"]; d.Unreadable > 0 {
			t.Errorf("%s could not read %d datagrams", m.Name(), d.Unreadable)
		}
	}
	lab.Poll(t, patience, "memberlist goes on with the new key", func() bool {
		for _, m := range l.nodes {
			m.mesh.mu.Lock()
			w := m.mesh.ways["eth0"]
			n := w.list.NumMembers()
			m.mesh.mu.Unlock()
			if n != 3 {
				return false
			}
		}
		return true
	})
}

// TestLabGossipAway: a node that was away during two rotations, and knows only
// the key of its Secret, is given the new one when it comes back.
func TestLabGossipAway(t *testing.T) {
	l := newLab3(t)
	a, c := l.nodes[0], l.nodes[2]
	l.owner(a)
	l.stop(c, true)
	for range 2 {
		if _, err := a.mesh.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.state = t.TempDir() + "/lost.json"
	l.start(c)
	l.owner(a)
	if key := l.agree(); key == testKey(1).Fingerprint() {
		t.Errorf("the old key is in use: %s", key)
	}
	if s := c.status(); s.Counters.Transitions > 3 {
		t.Errorf("c was more than a backup: %s", s.Why)
	}
	l.stop(a, true)
	l.start(a)
	l.owner(a)
	if key := l.agree(); key == testKey(1).Fingerprint() {
		t.Errorf("the old key is in use after a restart: %s", key)
	}
}

// TestLabGossipRotationInterrupted: the node that leads a rotation restarts in
// between, and ends it in its next life.
func TestLabGossipRotationInterrupted(t *testing.T) {
	l := newLab3(t)
	a, b := l.nodes[0], l.nodes[1]
	l.owner(a)
	l.agree()
	b.Run(t, "nft", "add table ip cut; add chain ip cut in { type filter hook input priority 0; }; add rule ip cut in udp dport 7946 drop")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if text, err := a.mesh.Rotate(ctx); err == nil {
		t.Fatalf("b has confirmed what it cannot hear: %s", text)
	}
	l.stop(a, true)
	b.Run(t, "nft", "delete", "table", "ip", "cut")
	l.start(a)
	l.owner(a)
	lab.Poll(t, patience, "the rotation ends", func() bool { return a.inUse() != testKey(1).Fingerprint() })
	l.agree()
}

// TestLabGossipNewSecret: a new first key in the configuration of one node
// after the other is rotated to, once.
func TestLabGossipNewSecret(t *testing.T) {
	l := newLab3(t)
	l.owner(l.nodes[0])
	l.agree()
	counted := l.transitions()
	for _, m := range l.nodes {
		m.config.Keys = []Key{testKey(2), testKey(1)}
		if err := m.mesh.Configure(m.config); err != nil {
			t.Fatal(err)
		}
	}
	lab.Poll(t, patience, "all use it", func() bool { return l.nodes[0].inUse() == testKey(2).Fingerprint() })
	if key := l.agree(); key != testKey(2).Fingerprint() {
		t.Errorf("%s is in use", key)
	}
	if now := l.transitions(); now != counted {
		t.Errorf("%d transitions", now-counted)
	}
}

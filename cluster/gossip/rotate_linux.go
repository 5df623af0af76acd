package gossip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// rotated is how a rotation ended.
type rotated struct {
	text string
	err  error
}

// Rotate makes a new key, gives it to every node that is there, and has all
// encrypt with it once all can read it. It returns how that ended, in a
// sentence. When ctx ends, it goes on unwatched.
func (m *Mesh) Rotate(ctx context.Context) (string, error) {
	fresh := Key{new([KeySize]byte)}
	if _, err := rand.Read(fresh.secret[:]); err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	reply := make(chan rotated, 1)
	m.mu.Lock()
	switch {
	case m.config == nil:
		m.mu.Unlock()
		return "", errors.New("there is no gossip on this node")
	case m.config.Plain:
		m.mu.Unlock()
		return "", errors.New("gossip is not encrypted: there is no key to rotate")
	}
	if m.rotation == nil {
		generation := m.ring.newest().generation + 1
		if k, ok := m.ring.find(m.ring.newest().mark); ok && !k.use && k.generation > 0 {
			fresh, generation = k.key, k.generation // what an earlier attempt has left
		}
		m.rotation = m.ring.lead(fresh, generation, time.Now())
		m.rekeyed()
		m.o.Log.Info("gossip key rotation", "key", fresh.Fingerprint())
	}
	m.waiting = append(m.waiting, reply)
	m.mu.Unlock()
	m.kick()
	select {
	case r := <-reply:
		return r.text, r.err
	case <-ctx.Done():
		return "", fmt.Errorf("rotate the gossip key: %w", context.Cause(ctx))
	}
}

// leadOn moves the rotation on, and reports whether the ring has changed. m.mu
// is held.
func (m *Mesh) leadOn(now time.Time) bool {
	for _, w := range m.ways {
		if w.joining && w.own.IsValid() { // who is there is not known yet
			m.rotation.limit = now.Add(rotationLimit)
			return false
		}
	}
	there := m.there(now)
	send, changed := m.rotation.step(m.ring, there, now)
	if changed {
		m.rekeyed()
	}
	for _, name := range send {
		for _, w := range m.ways {
			if p := w.book.peers[name]; p != nil && !p.left {
				w.offer(p, m.rotation.offer)
			}
		}
	}
	if m.rotation.phase < done {
		return changed
	}
	var r rotated
	r.text, r.err = m.rotation.result(there)
	m.o.Log.Info("gossip key rotation has ended", "result", r.text, "err", r.err)
	m.rotation, m.dirty = nil, true
	for _, reply := range m.waiting {
		reply <- r
	}
	m.waiting = nil
	return changed
}

// there are the nodes that are there, on any interface, with the keys they have
// told of last. m.mu is held.
func (m *Mesh) there(now time.Time) []holder {
	seen := map[string]*peer{}
	for _, w := range m.ways {
		for _, p := range w.book.live(now) {
			if before := seen[p.name]; before == nil || before.heard.Before(p.heard) {
				seen[p.name] = p
			}
		}
	}
	var list []holder
	for name, p := range seen {
		list = append(list, holder{name, p.active, p.newest})
	}
	return list
}

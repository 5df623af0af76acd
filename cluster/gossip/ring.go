package gossip

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"slices"
	"time"
)

// ring is the keys of a node. Every key has a generation: those of the
// configuration have 0, those made by a rotation count up. A node encrypts with
// the latest key that it has been told to use and reads with all. Two rings
// that tell each other of their keys end up the same, in whatever order they
// hear: the later key always wins.
type ring struct {
	keys []ringKey // the one in use first, then the latest first
}

type ringKey struct {
	stamp
	key Key
	// use says that the key may encrypt.
	use bool
	// expires is when it is thrown away; zero means never.
	expires time.Time
}

// Grace is for how long a key that has been replaced is still readable: a node
// that was away for no longer comes back by itself.
const Grace = 24 * time.Hour

// compare orders stamps: the later one is the greater.
func (s stamp) compare(o stamp) int {
	return cmp.Or(cmp.Compare(s.generation, o.generation), bytes.Compare(s.mark[:], o.mark[:]))
}

// newRing is the ring of a configuration, whose first key encrypts. Without
// keys nothing is encrypted.
func newRing(keys []Key) *ring {
	r := &ring{}
	for i, k := range keys {
		r.keys = append(r.keys, ringKey{stamp: stamp{0, k.mark()}, key: k, use: i == 0})
	}
	r.sort()
	return r
}

// sort puts the key that encrypts first.
func (r *ring) sort() {
	slices.SortStableFunc(r.keys, func(a, b ringKey) int {
		if a.use != b.use {
			if a.use {
				return -1
			}
			return 1
		}
		return b.compare(a.stamp)
	})
}

// active is the stamp of the key that encrypts; the zero stamp without keys.
func (r *ring) active() stamp {
	if len(r.keys) == 0 {
		return stamp{}
	}
	return r.keys[0].stamp
}

// newest is the stamp of the latest key that can be read.
func (r *ring) newest() stamp {
	var last stamp
	for _, k := range r.keys {
		if k.compare(last) > 0 {
			last = k.stamp
		}
	}
	return last
}

// find returns the key with that mark.
func (r *ring) find(m mark) (ringKey, bool) {
	i := slices.IndexFunc(r.keys, func(k ringKey) bool { return k.mark == m })
	if i < 0 {
		return ringKey{}, false
	}
	return r.keys[i], true
}

// accept takes in a key that a peer offers, and reports whether that changed
// anything. It never goes back to an earlier key.
func (r *ring) accept(o offer, now time.Time) bool {
	s := stamp{o.generation, o.key.mark()}
	if len(r.keys) == 0 || o.generation == 0 {
		return false // not encrypted at all, or a matter of configuration
	}
	i := slices.IndexFunc(r.keys, func(k ringKey) bool { return k.mark == s.mark })
	known := i >= 0 && r.keys[i].compare(s) >= 0
	switch {
	case i < 0:
		r.keys = append(r.keys, ringKey{stamp: s, key: o.key, expires: now.Add(Grace)})
		i = len(r.keys) - 1
	case !known:
		r.keys[i].stamp = s
	}
	if used := r.keys[i].use; o.use && !used && s.compare(r.active()) > 0 {
		r.use(i, now)
		return true
	}
	r.sort()
	return !known
}

// use makes a key the one that encrypts. The one before stays readable for
// Grace, and so do those that it replaced.
func (r *ring) use(i int, now time.Time) {
	for j := range r.keys {
		k := &r.keys[j]
		switch {
		case j == i:
			k.use, k.expires = true, time.Time{}
		case k.compare(r.keys[i].stamp) < 0:
			k.use = false
			if k.expires.IsZero() || k.expires.After(now.Add(Grace)) {
				k.expires = now.Add(Grace)
			}
		}
	}
	r.sort()
}

// expire throws away the keys whose time is over, and reports whether there
// were any. The key that encrypts stays.
func (r *ring) expire(now time.Time) bool {
	before := len(r.keys)
	r.keys = slices.DeleteFunc(r.keys, func(k ringKey) bool {
		return !k.use && !k.expires.IsZero() && !now.Before(k.expires)
	})
	return len(r.keys) < before
}

// ciphers are those of the keys, in their order.
func (r *ring) ciphers() []cipher.AEAD {
	list := make([]cipher.AEAD, len(r.keys))
	for i, k := range r.keys {
		list[i] = newCipher(k.key)
	}
	return list
}

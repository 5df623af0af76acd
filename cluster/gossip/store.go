package gossip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"harmony/runfile"
)

// stored is what outlives the process: the life it was, and the keys. The file
// is the only place where keys are written; nobody but root can read it.
type stored struct {
	Epoch    uint64      `json:"epoch"`
	Secret   []string    `json:"secret,omitempty"` // fingerprints of the configured keys
	Keys     []storedKey `json:"keys,omitempty"`
	Ways     []storedWay `json:"ways,omitempty"`
	Rotation *struct {
		Generation uint64 `json:"generation"`
		Key        []byte `json:"key"`
		Using      bool   `json:"using"`
	} `json:"rotation,omitempty"` // under way, led by this node
}

// storedWay is whom the node knows on an interface, and in which of its lives.
type storedWay struct {
	Interface string       `json:"interface"`
	Life      uint64       `json:"life"`
	Peers     []storedPeer `json:"peers,omitempty"`
}

type storedPeer struct {
	Name string         `json:"name"`
	Addr netip.AddrPort `json:"addr"`
	Life uint64         `json:"life"`
}

type storedKey struct {
	Key        []byte    `json:"key"`
	Generation uint64    `json:"generation"`
	Use        bool      `json:"use"`
	Expires    time.Time `json:"expires,omitzero"`
}

const maxStored = 1 << 20

// load reads a file; an absent one is empty.
func load(path string) (stored, error) {
	var s stored
	b, err := runfile.Read(path, maxStored)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return stored{}, fmt.Errorf("reading the gossip state: %w", err)
	}
	return s, nil
}

func (s stored) save(path string) error {
	b, err := json.Marshal(s)
	if err == nil {
		err = runfile.Write(path, b)
	}
	if err != nil {
		return fmt.Errorf("writing the gossip state: %w", err)
	}
	return nil
}

// store puts a ring and the rotation under way into s.
func (s *stored) store(r *ring, o *rotation) {
	s.Keys, s.Rotation = nil, nil
	for _, k := range r.keys {
		s.Keys = append(s.Keys, storedKey{k.key.Bytes(), k.generation, k.use, k.expires})
	}
	if o != nil && o.phase <= using {
		s.Rotation = &struct {
			Generation uint64 `json:"generation"`
			Key        []byte `json:"key"`
			Using      bool   `json:"using"`
		}{o.generation, o.key.Bytes(), o.phase == using}
	}
}

// ring is the one that was stored.
func (s stored) ring() *ring {
	r := &ring{}
	for _, k := range s.Keys {
		if key, err := NewKey(k.Key); err == nil {
			r.keys = append(r.keys, ringKey{stamp: stamp{k.Generation, key.mark()}, key: key, use: k.Use, expires: k.Expires})
		}
	}
	r.sort()
	return r
}

// restore is the ring of a configuration, with what earlier lives have made of
// it. Keys that the configuration has lost stay readable for Grace. One that it
// has got, and has first, shall be rotated to: want is that key.
func (s *stored) restore(keys []Key, now time.Time) (r *ring, want *Key) {
	r = newRing(keys)
	var marks []string
	for _, k := range keys {
		marks = append(marks, k.Fingerprint())
	}
	before := s.Secret
	s.Secret = marks
	if len(keys) == 0 || len(s.Keys) == 0 {
		return r, nil
	}
	old := s.ring()
	for i, k := range old.keys {
		configured := slices.Contains(marks, k.mark.String())
		if !configured && slices.Contains(before, k.mark.String()) && !k.use && k.expires.IsZero() {
			old.keys[i].expires = now.Add(Grace)
		}
	}
	for _, k := range r.keys {
		if _, ok := old.find(k.mark); !ok && !slices.Contains(before, k.mark.String()) {
			old.keys = append(old.keys, ringKey{stamp: k.stamp, key: k.key})
		}
	}
	old.expire(now)
	if len(old.keys) == 0 {
		return r, nil
	}
	old.sort()
	first := keys[0]
	if len(before) > 0 && before[0] != first.Fingerprint() && old.active().mark != first.mark() {
		want = &first
	}
	return old, want
}

// Package gossip carries the adverts of virtual routers where VRRP itself
// cannot go: inside the encrypted packets of github.com/hashicorp/memberlist,
// over the router's own interface. Memberlist finds the other nodes; it decides
// nothing. Adverts go to every node that was ever met and has not left, whether
// memberlist has it alive or not.
package gossip

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"harmony/vrrp"
)

// DefaultPort is memberlist's.
const DefaultPort = 7946

// Config is what the nodes have in common.
type Config struct {
	Port uint16
	Join []string // addresses or names of nodes, each with a port if it has another one
	Keys []Key    // the first encrypts; none, only with Plain
	// Plain says that nothing is encrypted: whoever reaches the port takes part.
	Plain bool
}

// Options are what a Mesh works with.
type Options struct {
	Node  string // this node's name, which no other node has
	State string // the file that keeps keys; "" for none
	Log   *slog.Logger
}

// Mesh carries adverts over the interfaces that the engine opens. It is a
// vrrp.Carrier; its methods are safe for concurrent use.
type Mesh struct {
	o       Options
	nonces  nonces
	sealers atomic.Pointer[sealers]
	start   sync.Once
	finish  sync.Once
	ended   chan struct{} // closed by Close
	wg      sync.WaitGroup
	nudge   chan struct{} // there is something to do; capacity 1

	mu       sync.Mutex // guards what follows; nobody waits for anything else under it
	config   *Config    // nil before the first Configure
	life     uint64
	saved    stored
	ring     *ring
	rotation *rotation
	waiting  []chan<- rotated
	ways     map[string]*way
	books    map[string]*book // by interface; they outlive the ways
	offers   []offer          // from peers, to be taken in
	dirty    bool             // the ring differs from what is saved
}

// sealers are the ciphers of the keys, the one in use first.
type sealers struct {
	aeads []cipher.AEAD
	marks []mark
}

// New returns a Mesh that carries nothing before Configure. Close ends it.
func New(o Options) (*Mesh, error) {
	if o.Node == "" || len(o.Node) > maxName {
		return nil, fmt.Errorf("node name %q is not 1..%d bytes long", o.Node, maxName)
	}
	m := &Mesh{o: o, ring: newRing(nil), ways: map[string]*way{}, books: map[string]*book{}, nudge: make(chan struct{}, 1)}
	if err := m.nonces.seed(); err != nil {
		return nil, err
	}
	if o.State != "" {
		var err error
		if m.saved, err = load(o.State); err != nil {
			o.Log.Error("gossip begins with the configured keys", "err", err)
		}
	}
	m.life = max(uint64(time.Now().UnixNano()), m.saved.Epoch+1)
	m.saved.Epoch, m.dirty = m.life, true
	m.ended = make(chan struct{})
	return m, nil
}

// errFixed says what cannot change while adverts are carried.
var errFixed = errors.New("the port and whether it is encrypted change with the next start of the agent only")

// Configure applies a configuration. Its keys join those that rotations have
// made; a new first key is rotated to.
func (m *Mesh) Configure(c Config) error {
	if !c.Plain && len(c.Keys) == 0 {
		return errors.New("gossip without a key: give one, or ask for no encryption")
	}
	if c.Plain {
		c.Keys = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config != nil && len(m.ways) > 0 && (m.config.Port != c.Port || m.config.Plain != c.Plain) {
		return errFixed
	}
	first := m.config == nil
	m.config = &c
	if !first {
		m.saved.store(m.ring, m.rotation)
	}
	resumed := m.saved.Rotation
	ring, want := m.saved.restore(c.Keys, time.Now())
	m.ring = ring
	switch {
	case first && resumed != nil && len(c.Keys) > 0:
		if key, err := NewKey(resumed.Key); err == nil {
			m.rotation = ring.lead(key, resumed.Generation, time.Now())
		}
	case want != nil && m.rotation == nil:
		m.rotation = ring.lead(*want, ring.newest().generation+1, time.Now())
	}
	m.rekeyed()
	m.start.Do(func() {
		m.wg.Add(1)
		go m.run() // ends by Close, which waits for it
	})
	m.kick()
	return nil
}

// rekeyed makes the ciphers follow the ring. m.mu is held.
func (m *Mesh) rekeyed() {
	s := &sealers{aeads: m.ring.ciphers()}
	for _, k := range m.ring.keys {
		s.marks = append(s.marks, k.mark)
	}
	m.sealers.Store(s)
	for _, w := range m.ways {
		w.rekey(m.ring)
	}
	m.dirty = true
}

// Open implements vrrp.Carrier.
func (m *Mesh) Open(iface string, index int, changed func()) (vrrp.Way, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config == nil {
		return nil, errors.New("no gossip is configured in Settings")
	}
	s, err := openSockets(iface, m.config.Port)
	if err != nil {
		return nil, err
	}
	b := m.books[iface]
	if b == nil {
		b = newBook(m.o.Node, m.life)
		m.books[iface] = b
	}
	w := newWay(m, s, b, changed)
	m.ways[iface] = w
	m.wg.Add(1)
	go w.run() // ends by Close
	return w, nil
}

// Close ends everything and waits for it. The engine has closed its ways.
func (m *Mesh) Close() {
	m.finish.Do(func() { close(m.ended) })
	m.wg.Wait()
}

// kick has run look at what there is to do.
func (m *Mesh) kick() {
	select {
	case m.nudge <- struct{}{}:
	default:
	}
}

// seal makes the packet of a message for a peer, or for somebody unknown.
// Between two nodes of which one has not got the latest key yet, the key that
// the other speaks with serves both.
func (m *Mesh) seal(text []byte, p *peer) []byte {
	s := m.sealers.Load()
	if s == nil || len(s.aeads) == 0 {
		return packUser(nil, [nonceLen]byte{}, text)
	}
	by := 0
	if p != nil {
		for i, k := range s.marks {
			if k == p.mark {
				by = i
			}
		}
		if active := m.ring.active(); active.generation > 0 && p.newest.compare(active) >= 0 {
			by = 0
		}
	}
	return packUser(s.aeads[by], m.nonces.next(), text)
}

// run does what may take its time: it greets peers, leads rotations, and keeps
// the state file.
func (m *Mesh) run() {
	defer m.wg.Done()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		m.mu.Lock()
		m.tend(time.Now())
		m.mu.Unlock()
		m.keep()
		select {
		case <-m.ended:
			return
		case <-tick.C:
		case <-m.nudge:
		}
	}
}

const (
	pace          = 200 * time.Millisecond
	greetInterval = time.Second
)

// tend is one round of run. m.mu is held.
func (m *Mesh) tend(now time.Time) {
	changed := m.ring.expire(now)
	for _, o := range m.offers {
		if m.ring.accept(o, now) {
			changed = true
			m.o.Log.Info("gossip key received", "key", o.key.Fingerprint(), "use", o.use)
		}
	}
	answer := len(m.offers) > 0
	m.offers = nil
	if m.rotation != nil {
		changed = m.leadOn(now) || changed
	}
	if changed {
		m.rekeyed()
	}
	for _, w := range m.ways {
		w.tend(now, answer || changed)
	}
}

// keep writes the state file when there is something new.
func (m *Mesh) keep() {
	m.mu.Lock()
	dirty := m.dirty && m.config != nil
	if dirty {
		m.dirty = false
		m.saved.store(m.ring, m.rotation)
		m.saved.Ways = m.known()
	}
	copied := m.saved
	m.mu.Unlock()
	if !dirty || m.o.State == "" {
		return
	}
	if err := copied.save(m.o.State); err != nil {
		m.o.Log.Error("gossip keys are not kept over a restart", "err", err)
	}
}

// known is whom a Farewell would speak to. m.mu is held.
func (m *Mesh) known() []storedWay {
	var list []storedWay
	for iface, w := range m.ways {
		s := storedWay{Interface: iface, Life: w.book.epoch}
		for _, p := range w.book.audience() {
			if p.epoch != 0 {
				s.Peers = append(s.Peers, storedPeer{p.name, p.addr, p.epoch})
			}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b storedWay) int { return strings.Compare(a.Interface, b.Interface) })
	return list
}

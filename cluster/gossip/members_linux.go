package gossip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// rejoinInterval is how often seeds and nodes that memberlist has lost are
// asked again; at first it is done every joinPace.
const (
	rejoinInterval = 10 * time.Second
	joinPace       = time.Second
	lookupTimeout  = 2 * time.Second
	dialTimeout    = 2 * time.Second
	leaveTimeout   = 500 * time.Millisecond
)

// run keeps a memberlist over the interface as long as there is an address for
// it, and joins it to the others.
func (w *way) run() {
	defer w.mesh.wg.Done()
	var joins sync.WaitGroup
	joins.Add(1)
	go func() { defer joins.Done(); w.acceptStreams() }() // ends with the sockets
	timer := time.NewTimer(0)
	defer timer.Stop()
	for running := true; running; {
		select {
		case <-w.end:
			running = false
			continue
		case <-w.wake:
		case <-timer.C:
		}
		w.follow()
		w.join(&joins)
		w.mesh.mu.Lock()
		next := rejoinInterval
		if !w.joined {
			next = joinPace
		}
		w.mesh.mu.Unlock()
		timer.Reset(next)
	}
	w.leave()
	w.close()
	joins.Wait()
}

func (w *way) acceptStreams() {
	for {
		c, err := w.tcp.Accept()
		if err != nil {
			select {
			case <-w.end:
				return
			case <-time.After(100 * time.Millisecond): // such as too many open files
				continue
			}
		}
		w.mesh.mu.Lock()
		p := w.port
		w.mesh.mu.Unlock()
		if p == nil {
			_ = c.Close()
			continue
		}
		p.stream(c)
	}
}

// follow gives the way a memberlist with its present address.
func (w *way) follow() {
	w.mesh.mu.Lock()
	own, list, port := w.own, w.list, w.port
	w.mesh.mu.Unlock()
	if port != nil && port.own == own {
		return
	}
	if list != nil {
		w.leave()
	}
	if !own.IsValid() {
		return
	}
	port = newPort(w.sockets, own)
	list, err := memberlist.Create(w.settings(port))
	if err != nil {
		w.mesh.o.Log.Error("no membership by gossip", "iface", w.iface, "err", err)
		return
	}
	w.mesh.mu.Lock()
	w.list, w.port = list, port
	w.mesh.mu.Unlock()
}

func (w *way) settings(p *port) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Transport, c.Label = w.mesh.o.Node, p, label
	c.BindPort, c.AdvertisePort = int(p.port), int(p.port)
	c.TCPTimeout = dialTimeout
	c.EnableCompression = false
	c.DeadNodeReclaimTime = time.Second
	c.Logger = quiet(w.mesh.o.Log)
	c.Events = events{w}
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	if keys := w.mesh.ring.keys; len(keys) > 0 {
		c.Keyring, _ = memberlist.NewKeyring(nil, keys[0].key.Bytes()) // the length is right
		w.follows(c.Keyring)
		w.keyring = c.Keyring
	}
	return c
}

// rekey makes the memberlist follow the ring. mesh.mu is held.
func (w *way) rekey(*ring) {
	if w.keyring != nil {
		w.follows(w.keyring)
	}
}

// follows makes a keyring the mesh's: first it can read all, then it writes
// with the one in use, then it forgets the others. mesh.mu is held.
func (w *way) follows(k *memberlist.Keyring) {
	keep := map[string]bool{}
	for i, key := range w.mesh.ring.keys {
		raw := key.key.Bytes()
		keep[string(raw)] = true
		_ = k.AddKey(raw) // the length is right
		if i == 0 {
			_ = k.UseKey(raw) // it is there
		}
	}
	for _, raw := range k.GetKeys() {
		if !keep[string(raw)] {
			_ = k.RemoveKey(raw) // it is not the first
		}
	}
}

// join asks, each in a goroutine of its own, the seeds and the known nodes that
// are not members. Any one that answers tells of all the others.
func (w *way) join(running *sync.WaitGroup) {
	w.mesh.mu.Lock()
	list, own, seeds := w.list, w.own, w.mesh.config.Join
	asked := map[netip.AddrPort]bool{}
	for _, p := range w.book.audience() {
		if !p.member {
			asked[p.addr] = true
		}
	}
	members := map[netip.AddrPort]bool{netip.AddrPortFrom(own, w.sockets.port): true}
	for _, p := range w.book.audience() {
		if p.member {
			members[p.addr] = true
		}
	}
	w.mesh.mu.Unlock()
	if list == nil {
		return
	}
	for _, seed := range seeds {
		for _, a := range w.resolve(seed) {
			if !members[a] {
				asked[a] = true
			}
		}
	}
	if len(asked) == 0 {
		w.answered()
	}
	for a := range asked {
		w.approach(a)
		running.Add(1)
		go func() { // ends after dialTimeout and an exchange at the latest
			defer running.Done()
			if _, err := list.Join([]string{a.String()}); err == nil {
				w.answered()
			}
		}()
	}
}

// approach says hello to an address, of which the name is not known.
func (w *way) approach(a netip.AddrPort) {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	if w.own.IsValid() && !w.closed {
		m := w.introduction(nil, true)
		_ = w.send(w.mesh.seal(m.marshal(), nil), w.own, a) // it is tried again
	}
}

// answered notes that memberlist knows who there is.
func (w *way) answered() {
	w.mesh.mu.Lock()
	defer w.mesh.mu.Unlock()
	w.joined = true
	w.mesh.kick()
}

// resolve returns the addresses that a seed has, without those that gossip
// cannot use.
func (w *way) resolve(seed string) []netip.AddrPort {
	host, port := seed, w.sockets.port
	if h, p, err := net.SplitHostPort(seed); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			host, port = h, uint16(n)
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		w.mesh.o.Log.Warn("no address of a node to join", "name", host, "err", err)
	}
	var list []netip.AddrPort
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a.Unmap(), port))
	}
	return list
}

// leave ends the memberlist, telling the others.
func (w *way) leave() {
	w.mesh.mu.Lock()
	list := w.list
	w.list, w.port = nil, nil
	w.mesh.mu.Unlock()
	if list == nil {
		return
	}
	if err := list.Leave(leaveTimeout); err != nil {
		w.mesh.o.Log.Debug("leave", "iface", w.iface, "err", err)
	}
	if err := list.Shutdown(); err != nil {
		w.mesh.o.Log.Debug("leave", "iface", w.iface, "err", fmt.Errorf("shut down: %w", err))
	}
}

// events is what memberlist tells. It holds a lock of its own meanwhile, so
// that nothing here may call it.
type events struct{ w *way }

// NotifyJoin tells of a node that is there.
func (e events) NotifyJoin(n *memberlist.Node) { e.note(n, true) }

// NotifyLeave tells of a node that has left or does not answer.
func (e events) NotifyLeave(n *memberlist.Node) { e.note(n, false) }

// NotifyUpdate tells of new metadata, of which we have none.
func (e events) NotifyUpdate(*memberlist.Node) {}

func (e events) note(n *memberlist.Node, alive bool) {
	addr, ok := netip.AddrFromSlice(n.Addr)
	if !ok || n.Name == e.w.mesh.o.Node {
		return
	}
	e.w.mesh.o.Log.Info("member", "node", n.Name, "addr", addr.Unmap().String(), "iface", e.w.iface, "alive", alive)
	e.w.mesh.mu.Lock()
	defer e.w.mesh.mu.Unlock()
	e.w.book.member(n.Name, netip.AddrPortFrom(addr.Unmap(), n.Port), alive)
	e.w.joined = e.w.joined || alive // whoever joins us tells of all the others
	e.w.mesh.kick()
}

package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// way is an open Way, and the index of the interface it was opened on.
type way struct {
	Way
	index int
}

// gossips says whether any router needs a way over the interface.
func (l *loop) gossips(iface string) bool {
	return slices.ContainsFunc(l.all(), func(r Router) bool { return r.Gossip != 0 && r.Interface == iface })
}

// reopenWay gives an interface the way that its routers need, and tells the
// node whether that can be relied on.
func (l *loop) reopenWay(link *Link, index int) {
	if !l.gossips(link.Interface) {
		return
	}
	if err := l.ensureWay(link.Interface, index); err != nil {
		link.Gossip = fmt.Sprintf("gossip on %s: %v", link.Interface, err)
	}
	w := l.ways[link.Interface]
	if w == nil {
		return
	}
	w.Addresses(slices.DeleteFunc(slices.Clone(link.Addresses), func(p netip.Prefix) bool {
		return slices.ContainsFunc(l.all(), func(r Router) bool {
			return slices.ContainsFunc(r.Addresses, func(v netip.Prefix) bool { return v.Addr() == p.Addr() })
		})
	}))
	if trouble := w.Trouble(); trouble != "" {
		link.Gossip = fmt.Sprintf("gossip on %s: %s", link.Interface, trouble)
	}
}

// ensureWay is ensure for ways.
func (l *loop) ensureWay(iface string, index int) error {
	if w := l.ways[iface]; w != nil {
		if w.index == index {
			return nil
		}
		l.closeWay(iface)
	}
	if index == 0 {
		return nil
	}
	if l.Carrier == nil {
		return errors.New("not configured")
	}
	opened, err := l.Carrier.Open(iface, index, func() { l.restless(iface) })
	if err != nil {
		return err
	}
	if err := l.poller.add(opened.FD()); err != nil {
		opened.Close()
		return err
	}
	l.ways[iface] = &way{opened, index}
	return nil
}

func (l *loop) closeWay(iface string) {
	l.poller.remove(l.ways[iface].FD()) // it may be closed later
	l.ways[iface].Close()
	delete(l.ways, iface)
}

// closeWays closes those over interfaces for which f holds.
func (l *loop) closeWays(f func(iface string) bool) {
	for iface := range l.ways {
		if f(iface) {
			l.closeWay(iface)
		}
	}
}

// restless notes that the state of an interface shall be read again, and wakes
// the loop. Any goroutine may call it.
func (l *loop) restless(iface string) {
	l.stirredMu.Lock()
	defer l.stirredMu.Unlock()
	l.stirred = append(l.stirred, iface)
	one := [8]byte{0: 1, 7: 1}        // not 0 in any byte order
	_, _ = unix.Write(l.wake, one[:]) // full means that it is awake
}

// calm returns the interfaces that were noted.
func (l *loop) calm() []string {
	l.stirredMu.Lock()
	defer l.stirredMu.Unlock()
	names := l.stirred
	l.stirred = nil
	slices.Sort(names)
	return slices.Compact(names)
}

// drainWays hears every advert that has arrived by gossip, as drainConns does.
func (l *loop) drainWays(ready func(fd int) bool) {
	for iface, w := range l.ways {
		if !ready(w.FD()) {
			continue
		}
		for range drainLimit {
			e, err := w.Receive()
			if errors.Is(err, ErrNoAdvert) {
				break
			}
			if err != nil {
				l.Log.Debug("receive", "iface", iface, "err", err)
				break
			}
			l.step(e)
		}
	}
}

// sendByWay sends an advert by gossip.
func (l *loop) sendByWay(s Send) error {
	w := l.ways[s.Interface]
	if w == nil {
		return fmt.Errorf("no gossip on %s", s.Interface)
	}
	return w.Send(s)
}

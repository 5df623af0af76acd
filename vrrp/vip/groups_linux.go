package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// groupsPerSocket keeps the memberships of a socket within what
// net.core.optmem_max allows where it is smallest.
const groupsPerSocket = 100

// groups are multicast memberships, held by sockets that receive nothing.
//
// A switch that snoops MLD lets a neighbor's question through to those ports
// only that have joined its group. Who joins with the take-over is asked when
// the switch has learnt of it, which may take as long as a query interval where
// the report is lost. So we join as soon as an address may become ours.
type groups struct {
	mu      sync.Mutex    // guards the rest
	joined  map[group]int // by the index of the socket
	sockets []groupSocket
}

type groupSocket struct{ fd, count int }

// set makes wanted the groups that are joined. Those on interfaces that are
// gone have left by themselves. open opens a socket in the right namespace.
func (g *groups) set(wanted map[group]bool, open func() (int, error)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var errs []error
	for j, socket := range g.joined {
		if !wanted[j] {
			_ = member(g.sockets[socket].fd, j, unix.IPV6_LEAVE_GROUP) // the interface may be gone
			g.sockets[socket].count--
			delete(g.joined, j)
		}
	}
	for w := range wanted {
		if _, done := g.joined[w]; done {
			continue
		}
		if err := g.join(w, open); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *groups) join(w group, open func() (int, error)) error {
	i := slices.IndexFunc(g.sockets, func(s groupSocket) bool { return s.count < groupsPerSocket })
	if i < 0 {
		fd, err := open()
		if err != nil {
			return err
		}
		i, g.sockets = len(g.sockets), append(g.sockets, groupSocket{fd: fd})
	}
	if err := member(g.sockets[i].fd, w, unix.IPV6_JOIN_GROUP); err != nil {
		return fmt.Errorf("joining %v: %w", w.addr, err)
	}
	if g.joined == nil {
		g.joined = make(map[group]int)
	}
	g.joined[w] = i
	g.sockets[i].count++
	return nil
}

// close leaves all groups.
func (g *groups) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		_ = unix.Close(s.fd)
	}
	g.sockets, g.joined = nil, nil
}

// member joins or leaves a group. To be in it already is no error.
func member(fd int, w group, how int) error {
	err := unix.SetsockoptIPv6Mreq(fd, unix.SOL_IPV6, how, &unix.IPv6Mreq{Multiaddr: w.addr.As16(), Interface: uint32(w.index)})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil
	}
	return os.NewSyscallError("setsockopt", err)
}

// groupSocket opens a socket for groups.
func (k *kernel) groupSocket() (fd int, err error) {
	err = k.inside(func() error {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	return fd, err
}

// listen joins the solicited-node groups of all wanted IPv6 addresses, on the
// interfaces that are there. A virtual MAC's are joined on its interface, for
// there the switch's port is. It is part of Prepare.
func (a *Addresses) listen(wanted map[string][]netip.Prefix) error {
	want := make(map[group]bool)
	for iface, addrs := range wanted {
		if !slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
			continue
		}
		link, err := a.kernel.link(a.kernel.survey, a.parentOf(iface))
		if isGone(err) {
			continue
		}
		if err != nil {
			return err
		}
		if link.Attrs().RawFlags&unix.IFF_MULTICAST == 0 {
			continue // such as lo
		}
		for _, p := range addrs {
			if p.Addr().Is6() {
				want[group{link.Attrs().Index, solicitedNode(p.Addr())}] = true
			}
		}
	}
	return a.groups.set(want, a.kernel.groupSocket)
}

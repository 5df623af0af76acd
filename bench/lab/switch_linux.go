package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	bridgeName = "br0"
	nodeIface  = "eth0"
	// linkWait bounds the wait for a new link to carry frames, which the
	// kernel reports up to a second late.
	linkWait = 5 * time.Second
)

// Switch is an Ethernet switch that floods multicast, and the nodes attached
// to it. Its methods may be called from several goroutines.
type Switch struct {
	thread *thread
	guard  *guard

	mu    sync.Mutex // guards nodes, and makes Attach one at a time
	nodes []*Node
}

// Open makes a switch without nodes. The caller closes it. It needs root.
func Open() (*Switch, error) {
	g, err := newGuard()
	if err != nil {
		return nil, err
	}
	t, err := newThread()
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	s := &Switch{thread: t, guard: g}
	if err := t.do(makeBridge); err != nil {
		return nil, errors.Join(fmt.Errorf("lab switch: %w", err), s.Close())
	}
	return s, nil
}

// Close kills every process in the nodes, then gives up the nodes and the
// switch. It may be called once.
func (s *Switch) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.guard.close()
	for _, nd := range s.nodes {
		nd.thread.close()
		err = errors.Join(err, nd.unname())
	}
	s.nodes = nil
	s.thread.close()
	return err
}

// makeBridge runs in the switch's namespace. The switch itself takes no part
// in IPv6, so that only the nodes are heard. Without STP a port forwards as
// soon as its link is up.
func makeBridge() error {
	if err := sysctl("net.ipv6.conf.default.disable_ipv6", "1"); err != nil {
		return err
	}
	snooping := false
	bridge := &netlink.Bridge{
		LinkAttrs:         netlink.LinkAttrs{Name: bridgeName},
		MulticastSnooping: &snooping,
	}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge: %w", err)
	}
	return netlink.LinkSetUp(bridge)
}

// Attach makes a node and joins its eth0 to the switch; addrs are put on it in
// the form "10.0.0.1/24" or "fd00::1/64". The name, at most 15 characters, is
// also that of the switch's port. When it returns, the link carries frames.
func (s *Switch) Attach(ctx context.Context, name string, addrs ...string) (*Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nd, err := s.attach(ctx, name, addrs)
	if err != nil {
		return nil, fmt.Errorf("lab node %q: %w", name, err)
	}
	return nd, nil
}

func (s *Switch) attach(ctx context.Context, name string, addrs []string) (*Node, error) {
	t, err := newThread()
	if err != nil {
		return nil, err
	}
	nd := &Node{name: name, thread: t, sw: s}
	s.nodes = append(s.nodes, nd)
	if err := s.guard.watch(t.id); err != nil {
		return nil, err
	}
	if err := t.do(prepareNode); err != nil {
		return nil, err
	}
	mac := net.HardwareAddr{0x02, 'l', 'a', 'b', 0, byte(len(s.nodes))}
	if err := s.thread.do(func() error { return addPort(name, mac, t) }); err != nil {
		return nil, err
	}
	if err := t.do(func() error { return setupEth0(ctx, addrs) }); err != nil {
		return nil, err
	}
	return nd, nd.bindName()
}

// addPort runs in the switch's namespace.
func addPort(name string, mac net.HardwareAddr, t *thread) error {
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: name},
		PeerName:         nodeIface,
		PeerHardwareAddr: mac,
		PeerNamespace:    netlink.NsFd(t.ns.Fd()),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	if err := plug(name); err != nil {
		return err
	}
	return netlink.LinkSetUp(veth)
}

// plug makes name a port of the bridge, in the switch's namespace.
func plug(name string) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	port, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find port %s: %w", name, err)
	}
	return netlink.LinkSetMaster(port, bridge)
}

// prepareNode runs in the node's namespace before it has links. A namespace
// may inherit settings of the host; these are the kernel's defaults, except
// that IPv6 addresses work at once.
func prepareNode() error {
	settings := []struct{ key, value string }{
		{"net.ipv4.ip_forward", "0"},
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.conf.default.rp_filter", "0"},
		{"net.ipv6.conf.all.disable_ipv6", "0"},
		{"net.ipv6.conf.default.disable_ipv6", "0"},
		{"net.ipv6.conf.all.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_ra", "0"},
	}
	for _, s := range settings {
		if err := sysctl(s.key, s.value); err != nil {
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// setupEth0 runs in the node's namespace.
func setupEth0(ctx context.Context, addrs []string) error {
	eth0, err := netlink.LinkByName(nodeIface)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(eth0); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := addAddr(eth0, a); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	return waitCarrier(ctx, nodeIface)
}

func addAddr(link netlink.Link, prefix string) error {
	addr, err := netlink.ParseAddr(prefix)
	if err != nil {
		return fmt.Errorf("address %q: %w", prefix, err)
	}
	if addr.IP.To4() == nil {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("add address %s: %w", prefix, err)
	}
	return nil
}

// waitCarrier waits until the link works and has its IPv6 link-local address.
func waitCarrier(ctx context.Context, name string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // then ask again
			return err
		}
		if link.Attrs().OperState == netlink.OperUp && len(addrs) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for carrier of %s: %w", name, ctx.Err())
		}
	}
}

// sysctl sets a kernel parameter of the calling thread's namespace.
func sysctl(key, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl %s: %w", key, err)
	}
	return nil
}

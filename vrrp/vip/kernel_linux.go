package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Values of linux/if_link.h and linux/netconf.h.
const (
	inetConf          = 1 // IFLA_INET_CONF
	netconfIndex      = 1 // NETCONFA_IFINDEX
	netconfForwarding = 2 // NETCONFA_FORWARDING
)

// sendBuffer holds the announcements of some thousand addresses until the
// interface takes them.
const sendBuffer = 8 << 20

// kernel is the addresses, links and frames of one network namespace.
type kernel struct {
	links  *netlink.Handle          // for take-overs
	survey *netlink.Handle          // for what may be slow
	raw    map[int]*nl.SocketHandle // for what the library lacks
	packet int                      // sends frames on any interface, receives none
	ns     netns.NsHandle           // where all of them are
}

// openKernel opens sockets in the network namespace of the calling thread.
func openKernel() (k *kernel, err error) {
	k = &kernel{packet: -1, ns: netns.None()}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	if k.ns, err = netns.Get(); err != nil {
		return nil, fmt.Errorf("finding the network namespace: %w", err)
	}
	if k.links, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	if k.survey, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	k.raw = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}
	// Protocol 0: nothing is ever received, so nothing needs to be read.
	k.packet, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	if unix.SetsockoptInt(k.packet, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		// Without the privilege the system's limit must do.
		_ = unix.SetsockoptInt(k.packet, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	return k, nil
}

func (k *kernel) close() {
	for _, h := range []*netlink.Handle{k.links, k.survey} {
		if h != nil {
			h.Close()
		}
	}
	for _, s := range k.raw {
		s.Close()
	}
	if k.packet >= 0 {
		_ = unix.Close(k.packet)
	}
	_ = k.ns.Close()
}

// link looks an interface up by its name.
func (k *kernel) link(h *netlink.Handle, iface string) (netlink.Link, error) {
	link, err := h.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", iface, err)
	}
	return link, nil
}

// isGone says that an error means there is no such interface.
func isGone(err error) bool {
	var gone netlink.LinkNotFoundError
	return errors.As(err, &gone) || errors.Is(err, unix.ENODEV)
}

// present returns the addresses on those of ifaces that exist.
func (k *kernel) present(ifaces map[string]bool) (map[place]bool, error) {
	found, err := k.addresses(ifaces)
	out := make(map[place]bool, len(found))
	for p := range found {
		out[p] = true
	}
	return out, err
}

// addresses is present, with what the kernel says of each.
func (k *kernel) addresses(ifaces map[string]bool) (map[place]netlink.Addr, error) {
	names := make(map[int]string, len(ifaces))
	for iface := range ifaces {
		link, err := k.link(k.survey, iface)
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		names[link.Attrs().Index] = iface
	}
	var all []netlink.Addr
	var err error
	for range 5 { // others may change addresses while we list them
		if all, err = k.survey.AddrList(nil, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	out := make(map[place]netlink.Addr)
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if name := names[a.LinkIndex]; ok && name != "" {
			out[place{name, netip.PrefixFrom(ip.Unmap(), bits)}] = a
		}
	}
	return out, nil
}

// add puts an address on a link. It reports whether it was there already.
//
// IPv6 addresses are added without duplicate address detection, and as
// deprecated: they never become the source of what this node sends by itself.
// A /128 gets no route of its own. IPv4 addresses are added as they are; in a
// subnet that the link has already they are secondary, so the primary source
// address stays.
func (k *kernel) add(link netlink.Link, p netip.Prefix) (existed bool, err error) {
	err = k.links.AddrAdd(link, settings(p))
	if errors.Is(err, unix.EEXIST) {
		return true, nil
	}
	return false, err
}

// awaitLimit bounds the wait for the kernel, which the engine's timers suffer.
const awaitLimit = 5 * time.Millisecond

// await waits until the kernel delivers what is sent to addresses that were
// just added. IPv4 addresses it delivers to at once. For IPv6 it makes the
// local route later, from a work queue (net/ipv6/addrconf.c, addrconf_dad_work,
// even without duplicate address detection), and until then drops what a
// client that has heard the announcement sends.
func (k *kernel) await(addrs []netip.Prefix) {
	limit := time.Now().Add(awaitLimit)
	for _, p := range addrs {
		for p.Addr().Is6() && !k.delivers(p.Addr()) && time.Now().Before(limit) {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// delivers says whether packets for an address reach this node's own sockets.
func (k *kernel) delivers(a netip.Addr) bool {
	routes, err := k.links.RouteGet(a.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// lasting makes an address of ours that is on a link stay for ever, or for
// life if that is not 0.
func (k *kernel) lasting(link netlink.Link, p netip.Prefix, life time.Duration) error {
	a := settings(p)
	if life > 0 {
		a.ValidLft = int(life.Seconds())
		if p.Addr().Is4() {
			a.PreferedLft = a.ValidLft
		}
	}
	return k.links.AddrReplace(link, a)
}

// settings is an address as we put it on a link.
func settings(p netip.Prefix) *netlink.Addr {
	a := ipAddr(p)
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
		a.ValidLft, a.PreferedLft = math.MaxUint32, 0
		if p.IsSingleIP() {
			a.Flags |= unix.IFA_F_NOPREFIXROUTE
		}
	} else {
		a.Broadcast = net.IPv4zero // none, as keepalived
	}
	return a
}

// remove takes an address from a link; that it is not there is no error.
func (k *kernel) remove(link netlink.Link, p netip.Prefix) error {
	err := k.links.AddrDel(link, ipAddr(p))
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func ipAddr(p netip.Prefix) *netlink.Addr {
	ip := p.Addr().AsSlice()
	return &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(p.Bits(), len(ip)*8)}}
}

// promoteSecondaries sets net.ipv4.conf.IFACE.promote_secondaries: else the
// kernel removes, along with a subnet's first address, all the others in it.
// By netlink it needs no writable /proc/sys, and hits the right namespace.
func (k *kernel) promoteSecondaries(link netlink.Link) error {
	return k.configure(link, map[string]uint32{"promote_secondaries": 1})
}

// forwards says whether IPv6 packets are forwarded from a link. Its own
// neighbor advertisements then have the Router flag.
func (k *kernel) forwards(link netlink.Link) (bool, error) {
	value, err := k.netconf(unix.AF_INET6, int32(link.Attrs().Index), netconfForwarding)
	return value != 0, err
}

func (k *kernel) request(kind, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = k.raw
	return req
}

// send puts a frame into the link's queue. It does not wait for room there.
func (k *kernel) send(link netlink.Link, f frame) error {
	to := &unix.SockaddrLinklayer{
		Protocol: binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, f.etherType)),
		Ifindex:  link.Attrs().Index,
		Halen:    uint8(len(f.to)),
	}
	copy(to.Addr[:], f.to)
	return unix.Sendto(k.packet, f.payload, 0, to)
}

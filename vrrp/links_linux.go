package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// links watches interfaces and reads their state.
type links struct {
	fd     int // rtnetlink notifications
	handle *netlink.Handle
}

// openLinks subscribes to changes of links and addresses in the namespace of
// the calling thread. The caller closes it.
func openLinks() (*links, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch links: %w", os.NewSyscallError("socket", err))
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch links: %w", os.NewSyscallError("bind", err))
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("read links: %w", err)
	}
	return &links{fd: fd, handle: handle}, nil
}

func (w *links) close() {
	_ = unix.Close(w.fd)
	w.handle.Close()
}

// drain empties the queue of notifications. What they say is not read: that
// there were any, or that some were lost, is reason to read the state anew.
func (w *links) drain(buf []byte) (changed bool) {
	for {
		_, err := unix.Read(w.fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS) || err == nil:
			changed = true
		default:
			return changed
		}
	}
}

// read returns the state of an interface and its index, which is 0 when it is
// absent.
func (w *links) read(name string) (Link, int, error) {
	l := Link{Interface: name}
	link, err := w.handle.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return l, 0, nil
	}
	if err != nil {
		return l, 0, fmt.Errorf("read interface %s: %w", name, err)
	}
	const running = unix.IFF_UP | unix.IFF_RUNNING
	l.Disabled = link.Attrs().RawFlags&unix.IFF_UP == 0
	l.Up, l.MTU = link.Attrs().RawFlags&running == running, link.Attrs().MTU
	addrs, err := w.addresses(link)
	if err != nil {
		return l, 0, fmt.Errorf("read addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue
		}
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			bits, _ := a.Mask.Size()
			l.Addresses = append(l.Addresses, netip.PrefixFrom(ip.Unmap(), bits))
		}
	}
	return l, link.Attrs().Index, nil
}

// addresses lists those of a link, once more when they changed meanwhile.
func (w *links) addresses(link netlink.Link) ([]netlink.Addr, error) {
	for try := 0; ; try++ {
		addrs, err := w.handle.AddrList(link, netlink.FAMILY_ALL)
		if !errors.Is(err, netlink.ErrDumpInterrupted) || try == 3 {
			return addrs, err
		}
	}
}

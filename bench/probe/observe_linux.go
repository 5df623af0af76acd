package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The interface that every node of the lab has, and protocol numbers.
const (
	observed      = "eth0"
	typeARP       = 0x0806
	typeIPv6      = 0x86dd
	ethernet      = 14 // bytes of a frame's header
	solicitation  = 135
	advertisement = 136
)

// observer asks who has an address, and hears all who say that they do. It has
// no cache and teaches nobody anything: its ARP requests are probes without a
// sender's address (RFC 5227 §2.1.1).
type observer struct {
	fd      int
	link    *net.Interface
	target  netip.Addr
	request []byte
}

// observe asks for Target every Interval and reports each answer with the MAC
// address of who gave it. A node with arp_ignore, or a fence, is silent here
// as it is for every client. When it could not ask, because the machine was
// busy, it reports that too.
func (s Spec) observe() error {
	target, err := netip.ParseAddr(s.Target)
	if err != nil {
		return err
	}
	o, err := newObserver(target)
	if err != nil {
		return err
	}
	p := newPrinter()
	go o.hear(func(mac string, at time.Time) { p.print(Result{Kind: s.Role, Start: at, By: mac}) }) // ends with the process
	to := &unix.SockaddrLinklayer{Ifindex: o.link.Index}
	next := time.Now()
	for i, last := 0, next; ; i++ {
		now := time.Now()
		if now.Sub(last) > 2*s.Interval {
			p.print(Result{Kind: stalled, Start: last, Took: now.Sub(last)})
		}
		last = now
		_ = unix.Sendto(o.fd, o.request, 0, to) // no answer will come, which is what is seen
		if i%10 == 0 {
			p.flush()
		}
		next = next.Add(s.Interval)
		if now.Sub(next) > s.Interval {
			next = now
		}
		time.Sleep(time.Until(next))
	}
}

// hear hands on each answer with the time at which the kernel got it.
func (o *observer) hear(tell func(mac string, at time.Time)) {
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, oobn, _, _, err := unix.Recvmsg(o.fd, buf, oob, 0)
		if err != nil {
			continue
		}
		if mac, ok := o.answer(buf[:n]); ok {
			tell(mac, stamp(oob[:oobn]))
		}
	}
}

// stamp is the time of a packet, or, should it have none, now.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	for _, m := range messages {
		if err == nil && m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

func newObserver(target netip.Addr) (*observer, error) {
	link, err := net.InterfaceByName(observed)
	if err != nil {
		return nil, err
	}
	o := &observer{link: link, target: target}
	kind := uint16(typeARP)
	if target.Is6() {
		kind = typeIPv6
		o.request, err = solicit(link, target)
	} else {
		o.request = whoHas(link.HardwareAddr, target)
	}
	if err != nil {
		return nil, err
	}
	proto := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, kind)))
	if o.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto); err != nil {
		return nil, fmt.Errorf("observer: %w", err)
	}
	if err := unix.SetsockoptInt(o.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return nil, fmt.Errorf("observer: %w", err)
	}
	return o, unix.Bind(o.fd, &unix.SockaddrLinklayer{Protocol: uint16(proto), Ifindex: link.Index})
}

// frame begins an Ethernet frame.
func frame(to, from net.HardwareAddr, kind uint16) []byte {
	return binary.BigEndian.AppendUint16(append(bytes.Clone(to), from...), kind)
}

// whoHas is an ARP probe (RFC 826).
func whoHas(from net.HardwareAddr, target netip.Addr) []byte {
	b := frame(net.HardwareAddr{255, 255, 255, 255, 255, 255}, from, typeARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
	b = append(append(b, from...), 0, 0, 0, 0)
	b = append(append(b, 0, 0, 0, 0, 0, 0), target.AsSlice()...)
	return b
}

// solicit is a neighbor solicitation (RFC 4861 §4.3) from the link-local
// address.
func solicit(link *net.Interface, target netip.Addr) ([]byte, error) {
	src, err := linkLocal(link)
	if err != nil {
		return nil, err
	}
	t := target.As16()
	dst := [16]byte{0xff, 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}
	icmp := append([]byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, t[:]...)
	icmp = append(append(icmp, 1, 1), link.HardwareAddr...)
	pseudo := append(append(src.AsSlice(), dst[:]...), 0, 0, 0, byte(len(icmp)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
	b := frame(net.HardwareAddr{0x33, 0x33, 0xff, t[13], t[14], t[15]}, link.HardwareAddr, typeIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	b = append(append(b, src.AsSlice()...), dst[:]...)
	return append(b, icmp...), nil
}

func linkLocal(link *net.Interface) (netip.Addr, error) {
	addrs, err := link.Addrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, errors.Join(errors.New("no link-local address"), err)
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// answer returns who says in a frame that it has the target: an ARP reply, or
// a solicited neighbor advertisement. Announcements are not answers.
func (o *observer) answer(b []byte) (mac string, ok bool) {
	if len(b) < ethernet {
		return "", false
	}
	from, body := net.HardwareAddr(b[6:12]).String(), b[ethernet:]
	target := o.target.AsSlice()
	if o.target.Is4() {
		return from, len(body) >= 28 && body[7] == 2 && bytes.Equal(body[14:18], target)
	}
	return from, len(body) >= 64 && body[6] == unix.IPPROTO_ICMPV6 && body[40] == advertisement &&
		body[44]&0x40 != 0 && bytes.Equal(body[48:64], target)
}

// announcements reports each gratuitous ARP request or reply (RFC 5227 §3) that
// is seen, By the address that it announces.
func (s Spec) announcements() error {
	proto := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, typeARP)))
	link, err := net.InterfaceByName(observed)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return fmt.Errorf("observer: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20), // a burst of thousands
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(proto), Ifindex: link.Index}),
	)
	if err != nil {
		return err
	}
	p := newPrinter()
	go func() { // ends with the process
		for range time.Tick(20 * time.Millisecond) {
			p.flush()
		}
	}()
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
		if body := buf[ethernet:max(n, ethernet)]; err == nil && len(body) >= 28 && bytes.Equal(body[14:18], body[24:28]) {
			p.print(Result{Kind: s.Role, Start: stamp(oob[:oobn]), By: netip.AddrFrom4([4]byte(body[14:18])).String()})
		}
	}
}

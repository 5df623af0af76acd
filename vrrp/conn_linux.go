package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// linkPriority is TC_PRIO_INTERACTIVE of linux/pkt_sched.h: like
	// trafficClass it lets adverts overtake bulk traffic.
	linkPriority = 6

	// receiveBuffer holds the adverts of 255 routers over a stall of a second.
	receiveBuffer = 4 << 20
	maxPacket     = 2048 // a longer packet is no advert
)

// conn is the socket for all routers of one family on one interface, or for
// those that use AH. It sends and receives protocol 112, or 51 for AH,
// multicast and unicast alike, and never blocks.
type conn struct {
	connKey // whose adverts it hears
	fd      int
	index   int
	buf     [maxPacket]byte
	oob     [128]byte
}

// option is one setsockopt.
type option struct {
	level, name, value int
}

// openConn opens the socket for k, whose interface has that index, and joins
// the multicast group there. The caller closes it.
func openConn(index int, k connKey) (*conn, error) {
	domain, protocol, options := unix.AF_INET, Protocol, options4(index)
	if k.family == IPv6 {
		domain, options = unix.AF_INET6, options6(index)
	}
	if k.ah {
		protocol = protocolAH
		options = append(options, option{unix.SOL_IP, unix.IP_HDRINCL, 1})
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open %s on %s: %w", k.kind(), k.iface, os.NewSyscallError("socket", err))
	}
	c := &conn{connKey: k, fd: fd, index: index}
	if err := c.setUp(options); err != nil {
		c.close()
		return nil, fmt.Errorf("open %s on %s: %w", k.kind(), k.iface, err)
	}
	return c, nil
}

// openDeviceConn opens the socket on the device with a router's virtual MAC.
// While that is up, the kernel gives it alone what comes from this very MAC,
// such as the adverts of a rival; all else is for the interface's socket, and
// is not heard twice. Its adverts leave with the virtual MAC.
func openDeviceConn(r Router, index int, k connKey) (*conn, error) {
	c, err := openConn(index, k)
	if err != nil {
		return nil, err
	}
	c.iface = r.Interface
	program := from(VirtualMAC(r.Family, r.VRID))
	err = unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err == nil && r.Family == IPv6 {
		// The source is the interface's link-local address.
		err = unix.SetsockoptInt(c.fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open %s on %s: %w", k.kind(), r.Device, os.NewSyscallError("setsockopt", err))
	}
	return c, nil
}

// from is the filter that passes packets with that source address in their
// Ethernet header (linux/filter.h: SKF_LL_OFF).
func from(mac net.HardwareAddr) []unix.SockFilter {
	const source = 0xffe00000 + 6
	high, low := binary.BigEndian.Uint32(mac), binary.BigEndian.Uint16(mac[4:])
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: source},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: high},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: source + 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(low)},
		{Code: unix.BPF_RET | unix.BPF_K, K: maxPacket},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

func (c *conn) setUp(options []option) error {
	if err := unix.BindToDevice(c.fd, c.iface); err != nil {
		return os.NewSyscallError("bind to device", err)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(c.fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError(fmt.Sprintf("setsockopt %d/%d", o.level, o.name), err)
		}
	}
	// Beyond net.core.rmem_max, where we may; the default works too.
	_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	var err error
	if c.family == IPv4 {
		err = unix.SetsockoptIPMreqn(c.fd, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: group4.As4(), Ifindex: int32(c.index)})
	} else {
		err = unix.SetsockoptIPv6Mreq(c.fd, unix.SOL_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group6.As16(), Interface: uint32(c.index)})
	}
	return os.NewSyscallError("join group", err)
}

// options4 are those of an IPv4 socket. SO_PRIORITY comes last: IP_TOS sets it
// too.
func options4(int) []option {
	return []option{
		{unix.SOL_IP, unix.IP_TTL, hopLimit},
		{unix.SOL_IP, unix.IP_MULTICAST_TTL, hopLimit},
		{unix.SOL_IP, unix.IP_MULTICAST_LOOP, 0},
		{unix.SOL_IP, unix.IP_MULTICAST_ALL, 0},
		{unix.SOL_IP, unix.IP_TOS, trafficClass},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, linkPriority},
	}
}

func options6(index int) []option {
	return []option{
		{unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, hopLimit},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, hopLimit},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_IF, index},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		{unix.SOL_IPV6, unix.IPV6_MULTICAST_ALL, 0},
		{unix.SOL_IPV6, unix.IPV6_TCLASS, trafficClass},
		{unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
		{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, linkPriority},
	}
}

func (c *conn) close() { _ = unix.Close(c.fd) }

// send transmits an advert from its source address.
func (c *conn) send(s Send) error {
	var to unix.Sockaddr
	var info []byte
	if c.family == IPv4 {
		to = &unix.SockaddrInet4{Addr: s.Dst.As4()}
		info = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(c.index), Spec_dst: s.Src.As4()})
	} else {
		to = &unix.SockaddrInet6{Addr: s.Dst.As16(), ZoneId: uint32(c.index)}
		info = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: s.Src.As16(), Ifindex: uint32(c.index)})
	}
	packet := s.Packet
	if s.AH { // its check covers the header, which is therefore ours; the kernel adds the checksum
		h := header4(s.Src, s.Dst, s.ID, len(packet))
		packet = append(h[:], packet...)
	}
	_, err := unix.SendmsgN(c.fd, packet, info, to, unix.MSG_DONTWAIT)
	if err != nil {
		return fmt.Errorf("send advert to %v: %w", s.Dst, os.NewSyscallError("sendmsg", err))
	}
	return nil
}

// errMalformed is a packet that the kernel should not have given us.
var errMalformed = errors.New("malformed packet")

// receive returns the next packet that has arrived, which is valid until the
// next call; unix.EAGAIN when there is none.
func (c *conn) receive() (Received, error) {
	if c.family == IPv4 {
		n, err := unix.Read(c.fd, c.buf[:])
		if err != nil {
			return Received{}, err
		}
		e, err := parseIPv4(c.iface, c.buf[:n])
		e.AH = c.ah
		return e, err
	}
	n, oobn, _, from, err := unix.Recvmsg(c.fd, c.buf[:], c.oob[:], unix.MSG_DONTWAIT)
	if err != nil {
		return Received{}, err
	}
	src, ok := from.(*unix.SockaddrInet6)
	if !ok {
		return Received{}, errMalformed
	}
	e := Received{Interface: c.iface, Src: netip.AddrFrom16(src.Addr), Packet: c.buf[:n]}
	err = parseControl(c.oob[:oobn], &e)
	return e, err
}

// parseIPv4 takes a packet apart that starts with its IP header, as raw IPv4
// sockets deliver it (ip(7), raw(7)).
func parseIPv4(iface string, b []byte) (Received, error) {
	if len(b) < 20 {
		return Received{}, errMalformed
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header || total > len(b) {
		return Received{}, errMalformed
	}
	return Received{
		Interface: iface,
		Src:       netip.AddrFrom4([4]byte(b[12:16])),
		Dst:       netip.AddrFrom4([4]byte(b[16:20])),
		TTL:       int(b[8]),
		ID:        binary.BigEndian.Uint16(b[4:]),
		Packet:    b[header:total],
	}, nil
}

// parseControl reads hop limit and destination of an IPv6 packet (RFC 3542 §6).
func parseControl(oob []byte, e *Received) error {
	for len(oob) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return errMalformed
		}
		oob = rest
		switch {
		case h.Level != unix.SOL_IPV6:
		case h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			e.TTL = int(int32(binary.NativeEndian.Uint32(data)))
		case h.Type == unix.IPV6_PKTINFO && len(data) >= 16:
			e.Dst = netip.AddrFrom16([16]byte(data))
		}
	}
	if !e.Dst.IsValid() {
		return errMalformed
	}
	return nil
}

package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// sockets are the UDP and TCP sockets of one interface. Nothing leaves by
// another interface, and nothing that comes in by another is heard: what
// arrives says something of this link.
type sockets struct {
	iface  string
	port   uint16
	family int // AF_INET6 speaks IPv4 too; AF_INET where the kernel has no IPv6
	tcp    net.Listener
	ns     netns.NsHandle // where to open connections

	mu  sync.RWMutex // against closing udp while another goroutine sends
	udp int          // -1 once it is closed
}

const (
	receiveBuffer = 4 << 20 // as that of VRRP: the adverts of a second's stall
	maxDatagram   = 64 << 10

	// linkPriority and trafficClass let adverts overtake bulk traffic, as those
	// on the wire do: TC_PRIO_INTERACTIVE, and Internetwork Control (CS6).
	linkPriority = 6
	trafficClass = 0xc0
)

// openSockets opens them in the network namespace of the calling thread.
func openSockets(iface string, port uint16) (*sockets, error) {
	s := &sockets{iface: iface, port: port, udp: -1}
	var err error
	if s.ns, err = netns.Get(); err != nil {
		return nil, fmt.Errorf("find network namespace: %w", err)
	}
	if err := s.openUDP(); err != nil {
		_ = s.ns.Close()
		return nil, err
	}
	lc := net.ListenConfig{Control: s.bindToDevice}
	if s.tcp, err = lc.Listen(context.Background(), "tcp", ":"+strconv.Itoa(int(port))); err != nil {
		s.close()
		return nil, fmt.Errorf("listen for members: %w", err)
	}
	return s, nil
}

func (s *sockets) openUDP() error {
	var fd int
	var err error
	for _, s.family = range []int{unix.AF_INET6, unix.AF_INET} {
		if fd, err = unix.Socket(s.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("open udp socket: %w", os.NewSyscallError("socket", err))
	}
	set := func(level, name, value int) {
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
		}
	}
	var any unix.Sockaddr = &unix.SockaddrInet4{Port: int(s.port)}
	if s.family == unix.AF_INET6 {
		any = &unix.SockaddrInet6{Port: int(s.port)}
		set(unix.SOL_IPV6, unix.IPV6_V6ONLY, 0)
		set(unix.SOL_IPV6, unix.IPV6_TCLASS, trafficClass)
	}
	set(unix.SOL_IP, unix.IP_TOS, trafficClass)
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	set(unix.SOL_SOCKET, unix.SO_PRIORITY, linkPriority)
	set(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if err == nil {
		err = os.NewSyscallError("setsockopt", unix.BindToDevice(fd, s.iface))
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, any))
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("open udp port %d: %w", s.port, err)
	}
	s.udp = fd
	return nil
}

// bindToDevice is a net.Dialer's Control.
func (s *sockets) bindToDevice(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.BindToDevice(int(fd), s.iface))
	}), err)
}

func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.udp < 0 {
		return
	}
	_ = unix.Close(s.udp)
	s.udp = -1
	if s.tcp != nil {
		_ = s.tcp.Close()
	}
	_ = s.ns.Close()
}

// send sends a datagram from one address to another. It does not block.
func (s *sockets) send(b []byte, from netip.Addr, to netip.AddrPort) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.udp < 0 {
		return net.ErrClosed
	}
	err := unix.Sendmsg(s.udp, b, s.source(from), s.address(to), 0)
	if errors.Is(err, unix.EAGAIN) {
		return nil // as lost as any datagram can be
	}
	return os.NewSyscallError("sendmsg", err)
}

// address is the kernel's form of an address.
func (s *sockets) address(a netip.AddrPort) unix.Sockaddr {
	if s.family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// source asks for a source address: the kernel might choose a virtual one.
func (s *sockets) source(from netip.Addr) []byte {
	switch {
	case !from.IsValid():
		return nil
	case s.family == unix.AF_INET:
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16()})
}

// receive reads a datagram into buf; unix.EAGAIN when there is none.
func (s *sockets) receive(buf []byte) (int, netip.AddrPort, error) {
	n, _, _, from, err := unix.Recvmsg(s.udp, buf, nil, 0)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return n, netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return n, netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), nil
	}
	return n, netip.AddrPort{}, nil
}

// dial opens a connection over the interface, whatever the thread's namespace.
func (s *sockets) dial(from netip.Addr, to string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, Control: s.bindToDevice}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	ns, err := s.namespace()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	here, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("find network namespace: %w", err)
	}
	same := here.Equal(ns)
	_ = here.Close()
	if same {
		return d.Dial("tcp", to)
	}
	c, err := net.Conn(nil), errors.New("cannot enter the network namespace")
	done := make(chan struct{})
	go within(ns, done, func() { c, err = d.Dial("tcp", to) }) // ends with the dial
	<-done
	return c, err
}

// namespace is a handle of its own, since memberlist still connects when it is
// shut down already.
func (s *sockets) namespace() (netns.NsHandle, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.udp < 0 {
		return 0, net.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(s.ns), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("find network namespace: %w", os.NewSyscallError("fcntl", err))
	}
	return netns.NsHandle(fd), nil
}

// within runs f on a thread in the namespace, which then ends, and closes done.
func within(ns netns.NsHandle, done chan<- struct{}, f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The process' first thread cannot be thrown away, and /proc shows its
		// namespace as that of the process: use another one.
		other := make(chan struct{})
		go within(ns, other, f)
		<-other
		runtime.UnlockOSThread()
		close(done)
		return
	}
	defer close(done)
	if netns.Set(ns) == nil {
		f()
	}
}

package gossip

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// port is the sockets of an interface as one memberlist sees them. What it
// receives is handed to it: the engine's goroutine reads the socket.
type port struct {
	*sockets
	own     netip.Addr // what it advertises
	packets chan *memberlist.Packet
	streams chan net.Conn
	once    sync.Once
	ended   chan struct{}
}

func newPort(s *sockets, own netip.Addr) *port {
	return &port{
		sockets: s, own: own, ended: make(chan struct{}),
		packets: make(chan *memberlist.Packet, 256), streams: make(chan net.Conn),
	}
}

// FinalAdvertiseAddr is the node's own address on the interface.
func (p *port) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return p.own.AsSlice(), int(p.port), nil
}

// WriteTo sends a packet.
func (p *port) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	return time.Now(), p.send(b, p.own, to)
}

// DialTimeout connects.
func (p *port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return p.dial(p.own, addr, timeout)
}

// PacketCh gives packets.
func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh gives connections.
func (p *port) StreamCh() <-chan net.Conn { return p.streams }

// Shutdown ends the port; the sockets stay.
func (p *port) Shutdown() error {
	p.once.Do(func() { close(p.ended) })
	return nil
}

// packet hands a packet over, or drops it where memberlist does not keep up.
func (p *port) packet(b []byte, from netip.AddrPort) {
	select {
	case p.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}:
	default:
	}
}

// stream hands a connection over, or closes it.
func (p *port) stream(c net.Conn) {
	select {
	case p.streams <- c:
	case <-p.ended:
		_ = c.Close()
	}
}

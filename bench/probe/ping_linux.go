package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// pinger sends numbered requests and hears their answers.
type pinger interface {
	send(seq uint64)
	// receive returns the number of the next answer and who gave it.
	receive() (seq uint64, by string, ok bool)
}

func (s Spec) pinger() (pinger, error) {
	if s.Role == "icmp" {
		return newEcho(s.Target)
	}
	conn, err := net.Dial("udp", s.Target)
	return &datagrams{conn: conn}, err
}

// datagrams go to a responder of role "echo".
type datagrams struct {
	conn net.Conn
	buf  [64]byte
}

func (d *datagrams) send(seq uint64) {
	_, _ = d.conn.Write(binary.BigEndian.AppendUint64(nil, seq)) // a refused datagram is a lost one
}

func (d *datagrams) receive() (uint64, string, bool) {
	n, err := d.conn.Read(d.buf[:])
	if err != nil || n < 8 {
		return 0, "", false // ICMP errors of a dark address
	}
	return binary.BigEndian.Uint64(d.buf[:]), string(d.buf[8:n]), true
}

// echo is ICMP's, which the kernel of the owner answers (RFC 792, RFC 4443 §4).
type echo struct {
	conn           net.PacketConn
	to             net.Addr
	request, reply byte // types
	buf            [128]byte
}

func newEcho(target string) (*echo, error) {
	addr, err := netip.ParseAddr(target)
	if err != nil {
		return nil, err
	}
	network, any, e := "ip4:icmp", "0.0.0.0", &echo{request: 8, reply: 0}
	if addr.Is6() {
		network, any, e = "ip6:ipv6-icmp", "::", &echo{request: 128, reply: 129}
	}
	e.to = &net.IPAddr{IP: addr.AsSlice()}
	e.conn, err = net.ListenPacket(network, any)
	return e, err
}

func (e *echo) send(seq uint64) {
	b := []byte{e.request, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(os.Getpid()))
	b = binary.BigEndian.AppendUint16(b, uint16(seq))
	b = binary.BigEndian.AppendUint64(b, seq)
	if e.request == 8 { // IPv6's is the kernel's work
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	_, _ = e.conn.WriteTo(b, e.to)
}

func (e *echo) receive() (uint64, string, bool) {
	n, from, err := e.conn.ReadFrom(e.buf[:])
	if err != nil || n < 16 || e.buf[0] != e.reply || binary.BigEndian.Uint16(e.buf[4:]) != uint16(os.Getpid()) {
		return 0, "", false
	}
	by, _, _ := strings.Cut(from.String(), "%")
	return binary.BigEndian.Uint64(e.buf[8:]), by, true
}

// pings sends a request every Interval and reports each as answered or, after
// Timeout, as lost.
func (s Spec) pings() error {
	conn, err := s.pinger()
	if err != nil {
		return err
	}
	p := newPrinter()
	var mu sync.Mutex // guards sent
	sent := map[uint64]time.Time{}
	go func() { // ends with the process
		for {
			seq, by, ok := conn.receive()
			now := time.Now()
			if !ok {
				continue
			}
			mu.Lock()
			at, known := sent[seq]
			delete(sent, seq)
			mu.Unlock()
			if known {
				p.print(Result{Kind: s.Role, Start: at, Took: now.Sub(at), By: by})
			}
		}
	}()
	next := time.Now()
	for seq := uint64(0); ; seq++ {
		now := time.Now()
		mu.Lock()
		sent[seq] = now
		mu.Unlock()
		conn.send(seq)
		if seq%50 == 0 {
			s.reportLost(p, &mu, sent, now)
		}
		next = next.Add(s.Interval)
		if now.Sub(next) > s.Interval {
			next = now // do not send a burst after a pause of our own
		}
		time.Sleep(time.Until(next))
	}
}

func (s Spec) reportLost(p *printer, mu *sync.Mutex, sent map[uint64]time.Time, now time.Time) {
	mu.Lock()
	for seq, at := range sent {
		if now.Sub(at) > s.Timeout {
			p.print(Result{Kind: s.Role, Start: at, Err: "no answer"})
			delete(sent, seq)
		}
	}
	mu.Unlock()
	p.flush()
}

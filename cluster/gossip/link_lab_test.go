package gossip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// second gives the nodes a second network, over which they stay in reach of
// each other whatever happens to eth0.
func (l *lab3) second() {
	l.Helper()
	other := l.nodes[0]
	for i, m := range l.nodes[1:] {
		far := fmt.Sprintf("to-%s", m.Name())
		other.Run(l.T, "ip", "link", "add", far, "type", "veth", "peer", "name", "eth1", "netns", fmt.Sprint(l.pid(m)))
		other.Run(l.T, "ip", "addr", "add", fmt.Sprintf("10.1.%d.1/24", i), "dev", far)
		other.Run(l.T, "ip", "link", "set", far, "up")
		m.Run(l.T, "ip", "addr", "add", fmt.Sprintf("10.1.%d.2/24", i), "dev", "eth1")
		m.Run(l.T, "ip", "link", "set", "eth1", "up")
		// Without the device a packet for a node's address goes this way too.
		m.Run(l.T, "ip", "route", "add", "10.0.0.1/32", "via", fmt.Sprintf("10.1.%d.1", i), "metric", "500")
	}
}

// pid is that of a process in the node's namespace.
func (l *lab3) pid(m *member) int {
	l.Helper()
	cmd := m.Command(context.Background(), "sleep", "3600")
	if err := m.Start(cmd); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

// TestLabGossipCut: the owner's own link is cut. It gives up although the
// others can be reached over another interface, and another one takes over.
func TestLabGossipCut(t *testing.T) {
	l := newLab3(t)
	a, b := l.nodes[0], l.nodes[1]
	l.second()
	l.owner(a)
	b.Run(t, "ping", "-c", "1", "-W", "5", "-I", "eth1", "10.1.0.1")
	if err := a.Cut(); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "a is at fault, and b the owner", func() bool {
		return a.status().State == vrrp.Fault && b.status().State == vrrp.Master
	})
	if s := a.status(); s.Cause != vrrp.LinkDown {
		t.Errorf("a: %s", s.Why)
	}
	if err := a.Heal(); err != nil {
		t.Fatal(err)
	}
	l.owner(a)
}

// TestLabGossipDeaf: frames from and to the owner vanish on the way, while its
// link has its carrier and the others are in reach over another interface. They
// hear silence, and one of them takes over.
func TestLabGossipDeaf(t *testing.T) {
	l := newLab3(t)
	a, b, c := l.nodes[0], l.nodes[1], l.nodes[2]
	l.second()
	l.owner(a)
	if err := a.Deafen(true); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "b takes over, and c hears it", func() bool {
		return b.status().State == vrrp.Master && c.status().Owner.Name == "node-b"
	})
	if s := a.status(); s.State != vrrp.Master {
		t.Errorf("a, which nobody contradicts: %s", s.Why)
	}
	if err := a.Deafen(false); err != nil {
		t.Fatal(err)
	}
	l.owner(a)
	if s := a.status(); s.Counters.Rivals == 0 {
		t.Error("a has not noticed that there were two")
	}
}

// TestLabGossipOneWay: c hears nobody, but is heard. It takes over, and as its
// priority is the lowest nobody gives way to it; all others count the rival.
func TestLabGossipOneWay(t *testing.T) {
	l := newLab3(t)
	a, c := l.nodes[0], l.nodes[2]
	l.owner(a)
	c.Run(t, "nft", "add table ip cut; add chain ip cut in { type filter hook input priority 0; }; add rule ip cut in udp dport 7946 drop")
	lab.Poll(t, patience, "c owns what it does not hear of, and a tells its name", func() bool {
		return c.status().State == vrrp.Master && a.status().Counters.Rivals > 0
	})
	if s := a.status(); s.State != vrrp.Master {
		t.Errorf("a gave way: %s", s.Why)
	}
	c.Run(t, "nft", "delete", "table", "ip", "cut")
	l.owner(a)
}

// TestLabGossipHandOver: a planned hand-over loses no datagram to the address.
func TestLabGossipHandOver(t *testing.T) {
	l := newLab3(t)
	a, b := l.nodes[0], l.nodes[1]
	l.owner(a)
	for _, m := range l.nodes {
		m.routers[0].Preempt = vrrp.PreemptNever
		if err := m.engine.Set(m.routers); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		from := a
		for _, m := range []*member{b, l.nodes[2]} {
			if m.status().State == vrrp.Master {
				from = m
			}
		}
		lab.Poll(t, patience, "the others hear it", func() bool {
			n := 0
			for _, m := range l.nodes {
				if m.status().Owner.Name == "node-"+from.Name() {
					n++
				}
			}
			return n == 2
		})
		if err := from.engine.HandOver(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
		masters := 0
		for _, m := range l.nodes {
			s := m.status()
			if s.State == vrrp.Master {
				masters++
			}
			if s.State == vrrp.Master && s.Cause != vrrp.PeerReleased {
				t.Errorf("%s took over: %s", m.Name(), s.Why)
			}
		}
		if masters != 1 {
			t.Errorf("%d owners after a hand-over", masters)
		}
	}
}

// TestLabGossipKill: the owner dies without a word. The next one takes over in
// a down interval, and the one that comes back finds its place again.
func TestLabGossipKill(t *testing.T) {
	l := newLab3(t)
	a, b := l.nodes[0], l.nodes[1]
	l.owner(a)
	// What an engine without network and without goodbye leaves to the others.
	a.Run(t, "nft", "add table ip dead; add chain ip dead out { type filter hook output priority 0; policy drop; }")
	before := time.Now()
	lab.Poll(t, patience, "b takes over", func() bool { return b.status().State == vrrp.Master })
	t.Logf("taken over after %v", time.Since(before).Round(time.Millisecond))
	l.stop(a, true)
	a.Run(t, "nft", "delete", "table", "ip", "dead")
	l.owner(b)
	l.start(a)
	l.owner(a)
	if s := b.status(); s.Cause == vrrp.PeerTimedOut {
		t.Errorf("b: %s", s.Why)
	}
}

// TestLabGossipAll: all restart at once, with the same state files.
func TestLabGossipAll(t *testing.T) {
	l := newLab3(t)
	l.owner(l.nodes[0])
	for _, m := range l.nodes {
		l.stop(m, true)
	}
	for _, m := range l.nodes {
		l.start(m)
	}
	l.owner(l.nodes[0])
}

// TestLabGossipOneSeed: c knows b only, and b nobody; a knows c.
func TestLabGossipOneSeed(t *testing.T) {
	lab.Require(t, "root")
	l := newLab3With(t, func(i int, m *member) { m.config.Join = [][]string{{"10.0.0.3"}, nil, {"10.0.0.2"}}[i] })
	l.owner(l.nodes[0])
	lab.Poll(t, patience, "b knows a", func() bool {
		for _, p := range l.nodes[1].mesh.Status().Peers {
			if p.Node == "node-a" && p.State == "alive" && p.Addr == netip.MustParseAddrPort("10.0.0.1:7946") {
				return true
			}
		}
		return false
	})
}

// TestLabGossipWrongKey: a node with another key is not listened to, and says
// so; whoever has no key cannot take the address by sending.
func TestLabGossipWrongKey(t *testing.T) {
	l := newLab3With(t, func(i int, m *member) {
		if i == 2 {
			m.config.Keys = []Key{testKey(66)}
			m.base = 254
		}
	})
	a, b, c := l.nodes[0], l.nodes[1], l.nodes[2]
	lab.Poll(t, patience, "a owns it among those with the key", func() bool {
		return a.status().State == vrrp.Master && b.status().Owner.Name == "node-a"
	})
	lab.Poll(t, patience, "a counts what it cannot read", func() bool {
		return c.status().State == vrrp.Master && a.mesh.Status().Drops["eth0"].Unreadable > 0
	})
	if s := a.status(); s.State != vrrp.Master || s.Counters.Rivals > 0 {
		t.Errorf("a: %s", s.Why)
	}
	for _, p := range a.mesh.Status().Peers {
		if p.Node == "node-c" {
			t.Errorf("a has written down c: %+v", p)
		}
	}
}

// TestLabGossipReplay: every datagram that b gets is sent to it again, twice,
// from c's namespace and under its sender's address. None is heard again: not
// in the same life of b, and not in the next.
func TestLabGossipReplay(t *testing.T) {
	l := newLab3(t)
	a, b, c := l.nodes[0], l.nodes[1], l.nodes[2]
	l.owner(a)
	record := capture(t, b)
	lab.Poll(t, patience, "30 datagrams are recorded", func() bool { return len(record()) >= 30 })
	recorded := record()
	before := b.mesh.Status().Drops["eth0"]
	received := b.status().Counters.Received
	replay(t, c, recorded)
	lab.Poll(t, patience, "they are refused", func() bool { return b.mesh.Status().Drops["eth0"].Replayed >= before.Replayed+25 })
	if d := b.mesh.Status().Drops["eth0"]; d.Malformed != before.Malformed || d.Unreadable != before.Unreadable {
		t.Errorf("they were refused for another reason: %+v", d)
	}
	t.Logf("received %d before, %d after", received, b.status().Counters.Received)

	l.stop(b, true)
	l.start(b)
	l.owner(a)
	l.stop(a, false)
	l.owner(b)
	heard := b.status().Counters.Received
	old := b.mesh.Status().Drops["eth0"].Misguided + b.mesh.Status().Drops["eth0"].Replayed
	replay(t, c, recorded) // a's adverts of priority 200 would make b give way
	lab.Poll(t, patience, "they are refused in the next life too", func() bool {
		d := b.mesh.Status().Drops["eth0"]
		return d.Misguided+d.Replayed >= old+25
	})
	if s := b.status(); s.State != vrrp.Master || s.Counters.Received > heard {
		t.Errorf("b heard %d adverts of a node that has left: %s", s.Counters.Received-heard, s.Why)
	}
}

// capture records the datagrams of gossip that reach a node from node a, whole,
// with their IP headers.
func capture(t *testing.T, m *member) func() [][]byte {
	t.Helper()
	var fd int
	if err := m.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var list [][]byte
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with the test
		defer close(ended)
		buf := make([]byte, 2048)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil || n < 28 || net.IP(buf[12:16]).String() != "10.0.0.1" || buf[22] != 0x1f || buf[23] != 0x0a {
				continue
			}
			mu.Lock()
			buf[26], buf[27] = 0, 0 // no UDP checksum: what was captured has not got its own yet
			list = append(list, append([]byte(nil), buf[:n]...))
			mu.Unlock()
		}
	}()
	t.Cleanup(func() { close(stop); <-ended; _ = unix.Close(fd) })
	return func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return append([][]byte(nil), list...)
	}
}

// replay sends recorded packets, each twice, with the addresses they had.
func replay(t *testing.T, m *member, packets [][]byte) {
	t.Helper()
	if err := m.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, p := range packets {
			for range 2 {
				if err := unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestLabGossipAddress: a node's own address changes, and it is found again.
func TestLabGossipAddress(t *testing.T) {
	l := newLab3(t)
	a, b := l.nodes[0], l.nodes[1]
	l.owner(a)
	a.Run(t, "ip", "addr", "del", "10.0.0.1/24", "dev", "eth0")
	a.Run(t, "ip", "addr", "add", "10.0.0.41/24", "dev", "eth0")
	lab.Poll(t, patience, "b hears a at its new address", func() bool {
		return strings.Contains(b.status().Why, "node-a (10.0.0.41) advertises 200")
	})
	l.owner(a)
}

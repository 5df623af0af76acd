package agent_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"harmony/bench/lab"
)

const (
	// askEvery is how often an observer asks.
	askEvery = 5 * time.Millisecond
	// slack is what a busy machine may add to a bound.
	slack = 60 * time.Millisecond
)

// observer asks by ARP for one address, all the time, and notes who answers.
// It is neither of the nodes and knows nothing of them.
type observer struct {
	t       *testing.T
	net     *lab.Net
	mu      sync.Mutex
	answers []answer
}

type answer struct {
	at   time.Time
	from string // the link address in it
}

// observe attaches an observer that ends with the test.
func observe(t *testing.T, n *lab.Net, self, addr string) *observer {
	t.Helper()
	o := &observer{t: t, net: n}
	var fd, index int
	err := n.Node("observer", self+"/24").Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		index = eth0.Index
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ARP)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A read waits this long at most, and then asks again.
	wait := unix.NsecToTimeval(askEvery.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		o.run(stop, fd, index, question(self, addr), netip.MustParseAddr(addr))
	}()
	t.Cleanup(func() { close(stop); <-done; _ = unix.Close(fd) })
	return o
}

func (o *observer) run(stop <-chan struct{}, fd, index int, ask []byte, addr netip.Addr) {
	all := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Ifindex: index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	buf := make([]byte, 64)
	var asked time.Time
	for {
		select {
		case <-stop:
			return
		default:
		}
		if time.Since(asked) >= askEvery {
			asked = time.Now()
			_ = unix.Sendto(fd, ask, 0, all) // what is lost is asked again
		}
		n, err := unix.Read(fd, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return
		}
		const reply = 2
		if n < 28 || binary.BigEndian.Uint16(buf[6:]) != reply || netip.AddrFrom4([4]byte(buf[14:18])) != addr {
			continue
		}
		o.mu.Lock()
		o.answers = append(o.answers, answer{time.Now(), net.HardwareAddr(buf[8:14]).String()})
		o.mu.Unlock()
	}
}

// question is an ARP request (RFC 826) for addr.
func question(self, addr string) []byte {
	from, about := netip.MustParseAddr(self).As4(), netip.MustParseAddr(addr).As4()
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 'l', 'a', 'b', 0, 99}
	b = append(append(b, from[:]...), 0, 0, 0, 0, 0, 0)
	return append(b, about[:]...)
}

func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// of returns the times at which h has answered since from.
func (o *observer) of(h *host, from time.Time) (times []time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.answers {
		if a.from == h.mac && !a.at.Before(from) {
			times = append(times, a.at)
		}
	}
	return times
}

// awaits waits until h answers, after from.
func (o *observer) awaits(h *host, from time.Time) time.Time {
	o.t.Helper()
	lab.Poll(o.t, 15*time.Second, h.node.Name()+" answers ARP", func() bool { return len(o.of(h, from)) > 0 })
	return o.of(h, from)[0]
}

// quiet fails the test if h has answered between two times.
func (o *observer) quiet(h *host, from, to time.Time, why string) {
	o.t.Helper()
	times := slices.DeleteFunc(o.of(h, from), func(at time.Time) bool { return at.After(to) })
	if len(times) > 0 {
		o.t.Errorf("%s: %s answered %d times, the last %v after the begin", why, h.node.Name(), len(times), times[len(times)-1].Sub(from))
	}
}

// overlap is how long, since from, the former owner has gone on answering
// after the new one had begun: 0 or less is none.
func (o *observer) overlap(former, next *host, from time.Time) time.Duration {
	last, first := o.of(former, from), o.of(next, from)
	if len(last) == 0 || len(first) == 0 {
		return 0
	}
	return last[len(last)-1].Sub(first[0])
}

// passes waits until a time has passed, while others work.
func passes(t *testing.T, d time.Duration) {
	t.Helper()
	end := time.Now().Add(d)
	lab.Poll(t, d+time.Minute, fmt.Sprint(d, " have passed"), func() bool { return time.Now().After(end) })
}

// linkAddress is that of a node's eth0.
func linkAddress(t *testing.T, n *lab.Node) string {
	t.Helper()
	return strings.Fields(n.Run(t, "ip", "-br", "link", "show", "eth0"))[2]
}

package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// listener is a node with one router, and what it makes of packets.
type listener struct {
	*testing.T
	node *Node
	now  time.Time
}

// self is the listener's own address, peer that of who advertises to it.
var (
	self = netip.MustParseAddr("10.0.0.1")
	peer = netip.MustParseAddr("10.0.0.2")
)

// plainRouter is a valid router, of version 3 and without authentication.
func plainRouter() Router {
	return Router{
		Key: Key{"web", IPv4}, VRID: 51, Interface: "eth0", AdvertInterval: time.Second,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/24")}, Priority: Priority{Base: 100},
	}
}

func newListener(t *testing.T, r Router) *listener {
	t.Helper()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_000_000, 0)
	return &listener{T: t, node: listening(r, now), now: now}
}

// listening is a node with that router as backup.
func listening(r Router, now time.Time) *Node {
	n := NewNode()
	n.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(self, 24)}}, now)
	n.Step(Configure{Routers: []Router{r}}, now)
	return n
}

// hears hands in what r would send from the peer's address, and returns the
// reason for which it is refused, or 0.
func (l *listener) hears(r Router) DropReason {
	l.Helper()
	return l.receives(advertOf(r, peer, l.now))
}

// advertOf is what r would send from src to all.
func advertOf(r Router, src netip.Addr, now time.Time) Received {
	n := NewNode()
	n.now = now
	dst := group(r.Family)
	if len(r.Unicast) > 0 {
		dst = self
	}
	s := Send{Src: src, Dst: dst, Packet: r.advert(r.Priority.Effective(), 0).encode(src, dst)}
	return arrived(n.sign(&router{Router: r}, []Send{s})[0])
}

// arrived is a packet on the other side.
func arrived(s Send) Received {
	return Received{Interface: "eth0", Src: s.Src, Dst: s.Dst, TTL: 255, AH: s.AH, ID: s.ID, Packet: s.Packet}
}

func (l *listener) receives(e Received) DropReason {
	l.Helper()
	before, state := l.status(), stateOf(l.node)
	l.node.Step(e, l.now)
	if l.status().Counters.Received > before.Counters.Received {
		return 0
	}
	if diff := cmp.Diff(state, stateOf(l.node)); diff != "" {
		l.Errorf("a refused advert changed the state:\n%s", diff)
	}
	for r, n := range l.status().Counters.Dropped {
		if n > before.Counters.Dropped[r] {
			return r
		}
	}
	l.Fatal("neither accepted nor counted")
	return 0
}

// stateOf is all that a node is, but for what it counts and tells of refused
// adverts.
func stateOf(n *Node) []string {
	var list []string
	for _, r := range n.routers {
		c := *r
		c.counters, c.refusal, c.deafTo = Counters{}, nil, nil
		list = append(list, fmt.Sprintf("%+v", c))
	}
	return list
}

func (l *listener) status() RouterStatus { return l.node.Status()[0] }

// Every router hears its own kind and no other.
func TestHearsItsVersionOnly(t *testing.T) {
	three, two := plainRouter(), plainRouter()
	two.Version = VRRPv2
	slow := two
	slow.AdvertInterval = 2 * time.Second
	slow3 := three
	slow3.AdvertInterval = 2 * time.Second
	tests := []struct {
		name     string
		we, peer Router
		want     DropReason
	}{
		{"version 3", three, three, 0},
		{"version 2", two, two, 0},
		{"version 2 to version 3", three, two, DropVersion},
		{"version 3 to version 2", two, three, DropVersion},
		{"another interval, version 2", two, slow, DropInterval},
		{"another interval, version 3", three, slow3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newListener(t, tt.we).hears(tt.peer); got != tt.want {
				t.Errorf("want %v, got %v", tt.want, got)
			}
		})
	}
}

func TestRefusesOtherAuthentication(t *testing.T) {
	r := plainRouter()
	r.Version = VRRPv2
	a := r.advert(200, 0)
	a.Auth.Type = 1
	e := Received{Interface: "eth0", Src: peer, Dst: group4, TTL: 255, Packet: a.encode(peer, group4)}
	if got := newListener(t, r).receives(e); got != DropAuthType {
		t.Errorf("want %v, got %v", DropAuthType, got)
	}
}

// The first refusal of a kind is told of, and the next one after a quiet minute.
func TestTellsOfRefusals(t *testing.T) {
	two := plainRouter()
	two.Version = VRRPv2
	l := newListener(t, two)
	e := advertOf(plainRouter(), peer, l.now)
	for i, step := range []struct {
		after time.Duration
		told  bool
	}{{0, true}, {time.Second, false}, {59 * time.Second, false}, {59 * time.Second, false}, {time.Minute, true}, {time.Second, false}} {
		l.now = l.now.Add(step.after)
		told := false
		for _, a := range l.node.Step(e, l.now) {
			r, ok := a.(Refused)
			told = told || ok
			if ok && (r.Reason != DropVersion || r.Addr != peer || r.Text == "") {
				t.Errorf("told %+v", r)
			}
		}
		if told != step.told {
			t.Errorf("advert %d: told %v", i, told)
		}
	}
	if got := l.status().Counters.Dropped[DropVersion]; got != 6 {
		t.Errorf("want 6 counted, got %d", got)
	}
}

// What authentication adds counts for what fits.
func TestFittingWithAuthentication(t *testing.T) {
	for _, r := range fuzzedRouters() {
		r.Addresses = nil
		for i := range 255 {
			a := netip.AddrFrom16([16]byte{0xfd, 15: byte(i)})
			if r.Family == IPv4 {
				a = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			}
			r.Addresses = append(r.Addresses, netip.PrefixFrom(a, a.BitLen()))
		}
		src := peer
		if r.Family == IPv6 {
			src = netip.MustParseAddr("fe80::2")
		}
		for _, mtu := range []int{0, 1500, 576} {
			s := Send{Src: src, Dst: group(r.Family), Packet: r.advert(100, mtu).encode(src, group(r.Family))}
			own := &router{Router: r}
			n := NewNode()
			n.now = time.Unix(1_750_000_000, 0)
			room := 1280
			if mtu != 0 {
				room = min(room, mtu)
			}
			if got := len(n.sign(own, []Send{s})[0].Packet); got > room-headerIPv6 {
				t.Errorf("%v %v, MTU %d: %d bytes", r.Auth.Type, r.Family, mtu, got)
			}
		}
	}
}

// The status shows what the peers send.
func TestChecksumsCounted(t *testing.T) {
	other := plainRouter()
	other.Checksum = MessageOnly
	l := newListener(t, plainRouter())
	for _, r := range []Router{plainRouter(), other, other} {
		if got := l.hears(r); got != 0 {
			t.Fatal(got)
		}
	}
	want := Checksums{PseudoHeader: 1, MessageOnly: 2}
	if diff := cmp.Diff(want, l.status().Counters.Checksums); diff != "" {
		t.Errorf("checksums (-want +got):\n%s", diff)
	}
	two := plainRouter()
	two.Version = VRRPv2
	l = newListener(t, two)
	if l.hears(two); len(l.status().Counters.Checksums) > 0 {
		t.Errorf("version 2 has one form: %v", l.status().Counters.Checksums)
	}
}

// VRRPv2 measures the skew time in seconds, whatever the interval.
func TestSkewOfVersion2(t *testing.T) {
	r := plainRouter()
	r.Version, r.AdvertInterval, r.Priority.Base = VRRPv2, 10*time.Second, 128
	l := newListener(t, r)
	at, ok := l.node.Deadline()
	if want := 30*time.Second + 500*time.Millisecond; !ok || at.Sub(l.now) != want {
		t.Errorf("want a master-down interval of %v, got %v", want, at.Sub(l.now))
	}
}

func TestValidateWire(t *testing.T) {
	six := Router{Key: Key{"web", IPv6}, Addresses: []netip.Prefix{netip.MustParsePrefix("fd00::1/64")}}
	tests := []struct {
		name   string
		change func(*Router)
		want   string
	}{
		{"version 2", func(r *Router) { r.Version = VRRPv2 }, ""},
		{"message-only checksum", func(r *Router) { r.Checksum = MessageOnly }, ""},
		{"unknown version", func(r *Router) { r.Version = 9 }, "version 9"},
		{"unknown checksum", func(r *Router) { r.Checksum = 9 }, "checksum form 9"},
		{"version 2 over IPv6", func(r *Router) { r.Key, r.Addresses, r.Version = six.Key, six.Addresses, VRRPv2 }, "IPv4 only"},
		{"version 2 in milliseconds", func(r *Router) { r.Version, r.AdvertInterval = VRRPv2, 100*time.Millisecond }, "interval"},
		{"checksum of version 2", func(r *Router) { r.Version, r.Checksum = VRRPv2, MessageOnly }, "checksum form"},
		{"checksum over IPv6", func(r *Router) { r.Key, r.Addresses, r.Checksum = six.Key, six.Addresses, MessageOnly }, "checksum form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := plainRouter()
			tt.change(&r)
			err := r.Validate()
			if tt.want == "" && err == nil {
				return
			}
			if tt.want == "" || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want an error about %q, got %v", tt.want, err)
			}
		})
	}
}

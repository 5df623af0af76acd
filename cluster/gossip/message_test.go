package gossip

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"harmony/vrrp"
)

var asMessage = cmp.AllowUnexported(message{}, advert{}, hello{}, offer{}, stamp{}, Key{})

var comparable = []cmp.Option{asMessage, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})}

func messages() map[string]message {
	src6 := netip.MustParseAddr("fe80::1")
	return map[string]message{
		"advert":           {kind: kindAdvert, from: "node-a", epoch: 1 << 60, to: 7, seq: 3, advert: advert{70000, netip.MustParseAddr("10.0.0.1"), []byte{0x31, 1, 100}}},
		"advert over IPv6": {kind: kindAdvert, from: "a", epoch: 1, seq: 1, advert: advert{1, src6, []byte{0x31}}},
		"hello": {kind: kindHello, from: "node-a.example", epoch: 2, to: 9, seq: 4, hello: hello{
			true, netip.MustParseAddrPort("10.0.0.1:7946"), stamp{1, mark{1, 2}}, stamp{2, mark{3}}}},
		"keys": {kind: kindKeys, from: "b", epoch: 2, to: 9, seq: 5, keys: offer{3, testKey(9), true}},
		"bye":  {kind: kindBye, from: "b", epoch: 2, to: 9, seq: 6},
	}
}

// TestMessage: what is written is read back, and nothing shorter, longer or
// different is taken for it.
func TestMessage(t *testing.T) {
	for name, want := range messages() {
		t.Run(name, func(t *testing.T) {
			b := want.marshal()
			got, err := parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, comparable...); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
			cut := len(b)
			if want.kind == kindAdvert {
				cut -= len(want.advert.packet) // of which the length is the packet's own matter
			} else if _, err := parse(append(bytes.Clone(b), 0)); err == nil {
				t.Error("takes a byte too many")
			}
			for i := range cut {
				if _, err := parse(b[:i]); err == nil {
					t.Errorf("takes the first %d of %d bytes", i, len(b))
				}
			}
		})
	}
}

// TestMessageRefused: what no node says.
func TestMessageRefused(t *testing.T) {
	all := messages()
	tests := map[string]func() []byte{
		"another version": func() []byte { b := all["bye"].marshal(); b[1]++; return b },
		"another magic":   func() []byte { b := all["bye"].marshal(); b[0]++; return b },
		"unknown kind":    func() []byte { b := all["bye"].marshal(); b[2] = 99; return b },
		"no name":         func() []byte { m := all["bye"]; m.from = ""; return m.marshal() },
		"no life":         func() []byte { m := all["bye"]; m.epoch = 0; return m.marshal() },
		"id 0":            func() []byte { m := all["advert"]; m.advert.id = 0; return m.marshal() },
		"mapped source": func() []byte {
			m := all["advert"]
			m.advert.src = netip.MustParseAddr("::ffff:10.0.0.1")
			return m.marshal()
		},
		"port 0": func() []byte {
			m := all["hello"]
			m.hello.addr = netip.AddrPortFrom(m.hello.addr.Addr(), 0)
			return m.marshal()
		},
	}
	for name, b := range tests {
		if m, err := parse(b()); err == nil {
			t.Errorf("%s: taken as %+v", name, m)
		}
	}
}

// TestMessageReceived: an advert reaches the core as one to the group of the
// link, so that its checksum holds.
func TestMessageReceived(t *testing.T) {
	for _, src := range []string{"10.0.0.1", "fe80::1"} {
		addr := netip.MustParseAddr(src)
		a := vrrp.Advert{VRID: 1, Priority: 100, Interval: 1e9, Addresses: []netip.Addr{addr}}
		packet, err := a.Marshal(addr, vrrp.Group(addr))
		if err != nil {
			t.Fatal(err)
		}
		m := message{from: "node-a", advert: advert{0x101, addr, packet}}
		r := m.received("eth0")
		if r.TTL != 255 || r.Gossip != 0x101 || r.Node != "node-a" || r.Interface != "eth0" {
			t.Errorf("%+v", r)
		}
		if _, err := vrrp.ParseAdvert(r.Packet, r.Src, r.Dst); err != nil {
			t.Error(err)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(m.marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		if again := m.marshal(); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %x", b, again)
		}
	})
}

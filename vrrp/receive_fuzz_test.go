package vrrp

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fuzzedRouters are what the fuzzer sends to: every way to authenticate, both
// versions, both families, unicast, each under its own VRID.
func fuzzedRouters() []Router {
	six := withHMAC(Permissive, AuthKey{1, hmacKey(0)}, AuthKey{2, hmacKey(9)})
	six.Family = IPv6
	unicast := plainRouter()
	unicast.Unicast = []netip.Addr{peer}
	old, plain2 := withHMAC(Enforce, AuthKey{1, hmacKey(0)}), plainRouter()
	old.Version, plain2.Version = VRRPv2, VRRPv2
	list := []Router{
		plainRouter(), plain2, withPassword(AuthPassword, "secret"), withPassword(AuthAH, "secret"),
		withHMAC(Enforce, AuthKey{1, hmacKey(0)}), old, six, unicast,
	}
	for i := range list {
		list[i].Name, list[i].VRID = string(rune('a'+i)), uint8(51+i)
		address := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		if list[i].Family == IPv6 {
			address = netip.AddrFrom16([16]byte{0xfd, 15: byte(i)})
		}
		list[i].Addresses = []netip.Prefix{netip.PrefixFrom(address, 24)}
	}
	return list
}

// FuzzReceive hands in whatever bytes there are. A node must survive them, count
// them, and be as before when it has refused them.
func FuzzReceive(f *testing.F) {
	now := time.Unix(0x68000001, 0)
	for _, r := range fuzzedRouters() {
		src := peer
		if r.Family == IPv6 {
			src = netip.MustParseAddr("fe80::2")
		}
		e := advertOf(r, src, now)
		f.Add(e.Packet, r.Family == IPv6, e.AH, uint8(255), e.ID)
	}
	image, err := hex.DecodeString("3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image, false, false, uint8(255), uint16(0))
	f.Add([]byte{112, 4}, false, true, uint8(255), uint16(1))
	routers := fuzzedRouters()
	f.Fuzz(func(t *testing.T, packet []byte, six, ah bool, ttl uint8, id uint16) {
		n := NewNode()
		n.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.PrefixFrom(self, 24), netip.MustParsePrefix("fe80::1/64")}}, now)
		n.Step(Configure{Routers: routers}, now)
		e := Received{Interface: "eth0", Src: peer, Dst: group4, TTL: int(ttl), AH: ah, ID: id, Packet: packet}
		if six {
			e.Src, e.Dst = netip.MustParseAddr("fe80::2"), group6
		}
		before, state := total(n), stateOf(n)
		n.Step(e, now)
		after := total(n)
		if after.received == before.received {
			if diff := cmp.Diff(state, stateOf(n)); diff != "" {
				t.Errorf("a refused packet changed the state:\n%s", diff)
			}
		}
		if after.received+after.dropped != before.received+before.dropped+1 {
			t.Errorf("neither accepted nor counted, or twice: %+v, %+v", before, after)
		}
		if replayed := after.received > before.received && routers[packetVRID(e)-51].Auth.Type >= AuthAH; replayed {
			// What is authenticated is accepted once. Permissive takes what is not.
			n.Step(e, now)
			if again := total(n); again.received > after.received && len(e.Packet) > trailerLen && routers[packetVRID(e)-51].Auth.Mode == Enforce {
				t.Errorf("accepted twice: %x", e.Packet)
			}
		}
	})
}

func packetVRID(e Received) uint8 {
	packet, _ := e.advert()
	return packet[1]
}

type totals struct{ received, dropped uint64 }

// total counts what has come in.
func total(n *Node) (s totals) {
	for _, d := range n.Strays() {
		s.dropped += d
	}
	for _, r := range n.Status() {
		s.received += r.Counters.Received
		for _, d := range r.Counters.Dropped {
			s.dropped += d
		}
	}
	return s
}

package vrrp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestSoonest: what the engine's loop sets its timer to is never later than
// the deadline, whatever has been heard, and exact once it has passed.
func TestSoonest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_750_000_000, 0)
	n := NewNode()
	n.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/16")}, MTU: 1500}, now)
	n.Step(Configure{Routers: manyRouters(8)}, now)
	early := 0
	for range 20000 {
		now = now.Add(time.Duration(rnd.IntN(20)) * time.Millisecond)
		at := n.soonest(now)
		deadline, _ := n.Deadline()
		switch {
		case at.IsZero() != deadline.IsZero() || at.After(deadline):
			t.Fatalf("soonest %v is after the deadline %v", at, deadline)
		case !at.After(now) && !at.Equal(deadline):
			t.Fatalf("soonest %v has passed and is not the deadline %v", at, deadline)
		case at.Before(deadline):
			early++
		}
		if !deadline.IsZero() && !now.Before(deadline) && rnd.IntN(4) > 0 {
			n.Step(Tick{}, now)
			continue
		}
		n.Step(advertFor(t, 1+rnd.IntN(8), uint8(rnd.IntN(256))), now)
	}
	if early == 0 {
		t.Error("it was the deadline every time: nothing is saved")
	}
}

// manyRouters are n routers with VRIDs from 1 on.
func manyRouters(n int) (routers []Router) {
	for i := range n {
		routers = append(routers, Router{
			Key: Key{Name: string(rune('a' + i)), Family: IPv4}, VRID: uint8(i + 1), Interface: "eth0", Version: VRRPv3,
			Addresses: []netip.Prefix{virtualAddress(i + 1)}, Priority: Priority{Base: 100}, AdvertInterval: 100 * time.Millisecond,
		})
	}
	return routers
}

func virtualAddress(vrid int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(vrid)}), 16)
}

// advertFor is what a peer advertises for one of manyRouters.
func advertFor(t testing.TB, vrid int, priority uint8) Received {
	t.Helper()
	src := netip.MustParseAddr("10.0.0.3")
	a := Advert{Version: VRRPv3, VRID: uint8(vrid), Priority: priority, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{virtualAddress(vrid).Addr()}}
	packet, err := a.Marshal(src, group4)
	if err != nil {
		t.Fatal(err)
	}
	return Received{Interface: "eth0", Src: src, Dst: group4, TTL: 255, Packet: packet}
}

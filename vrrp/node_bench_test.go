package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// BenchmarkManyRouters is what the core does for one advert as a backup, and
// for the adverts of one interval as the owner, on a node with 255 routers: and
// finding out when to wake up next.
func BenchmarkManyRouters(b *testing.B) {
	start := time.Now()
	node := func() *Node {
		n := NewNode()
		n.Step(Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/16")}, MTU: 1500}, start)
		n.Step(Configure{Routers: manyRouters(255)}, start)
		return n
	}
	b.Run("backup", func(b *testing.B) {
		n := node()
		var packets []Received
		for i := range 255 {
			packets = append(packets, advertFor(b, i+1, 200))
		}
		b.ReportAllocs()
		now := start
		for i := 0; b.Loop(); i++ {
			now = now.Add(400 * time.Microsecond)
			n.Step(packets[i%255], now)
			n.soonest(now)
			n.Limit()
		}
	})
	b.Run("owner", func(b *testing.B) {
		n := node()
		at, _ := n.Deadline()
		b.ReportAllocs()
		for b.Loop() {
			n.Step(Tick{}, at)
			at = n.soonest(at)
			n.Limit()
		}
	})
}

package vrrp

import (
	"testing"
	"time"
)

// The routers whose adverts are measured: one address, and each way to
// authenticate.
var benchmarked = []struct {
	name   string
	router Router
}{
	{"v3", plainRouter()},
	{"v2-password", withPassword(AuthPassword, "secret")},
	{"v2-ah", withPassword(AuthAH, "secret")},
	{"v3-hmac", withHMAC(Enforce, AuthKey{1, hmacKey(0)})},
}

// BenchmarkEncode makes an advert as it leaves, signed where that is asked for.
func BenchmarkEncode(b *testing.B) {
	for _, bb := range benchmarked {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				advertOf(bb.router, peer, time.Unix(1_750_000_000, 0))
			}
		})
	}
}

// BenchmarkParse reads an advert.
func BenchmarkParse(b *testing.B) {
	for _, bb := range benchmarked {
		packet, _ := advertOf(bb.router, peer, time.Unix(1_750_000_000, 0)).advert()
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseAdvert(packet, peer, group4); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReceive is the whole way of an advert into a backup, each a second
// after the one before.
func BenchmarkReceive(b *testing.B) {
	for _, bb := range benchmarked {
		b.Run(bb.name, func(b *testing.B) {
			now := time.Unix(1_750_000_000, 0)
			n := listening(bb.router, now)
			var e Received
			b.ReportAllocs()
			for b.Loop() {
				if bb.router.Auth.Type >= AuthAH {
					b.StopTimer()
					now = now.Add(time.Second)
					e = advertOf(bb.router, peer, now)
					b.StartTimer()
				} else if e.Packet == nil {
					e = advertOf(bb.router, peer, now)
				}
				n.Step(e, now)
			}
			if s := n.Status()[0]; len(s.Counters.Dropped) > 0 {
				b.Fatal(s.Counters.Dropped)
			}
		})
	}
}

package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// owners returns a node that owns n routers with that many addresses each.
func owners(t *testing.T, n, addresses int, a Announcing) (*Node, time.Time) {
	t.Helper()
	var routers []Router
	for i := range n {
		r := Router{
			Key: Key{fmt.Sprintf("r%03d", i), IPv4}, VRID: uint8(i + 1), Interface: "eth0", Priority: Priority{Base: 255},
			AdvertInterval: time.Second, Announcing: a,
		}
		for j := range addresses {
			r.Addresses = append(r.Addresses, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), byte(j)}), 16))
		}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		routers = append(routers, r)
	}
	node, now := NewNode(), time.Unix(0, 0)
	link := Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	node.Step(link, now)
	node.Step(Configure{Routers: routers}, now)
	return node, now
}

// announced counts the announcements among actions.
func announced(actions []Action) (n int) {
	for _, a := range actions {
		if a, ok := a.(Announce); ok {
			n += len(a.Addresses)
		}
	}
	return n
}

// TestAnnouncing is when an owner announces within 70 s, in milliseconds. The
// first time is the take-over itself.
func TestAnnouncing(t *testing.T) {
	tests := []struct {
		name string
		give Announcing
		want []int64
	}{
		{"default", Announcing{}, []int64{10, 20, 30, 40, 5000, 5010, 5020, 5030, 5040, 65000}},
		{"one burst, no refresh", Announcing{Repeat: 2}, []int64{10}},
		{"two bursts, no refresh", Announcing{Repeat: 2, Delay: time.Second}, []int64{10, 1000, 1010}},
		{"refresh only", Announcing{Repeat: 1, Refresh: 30 * time.Second}, []int64{30000, 60000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node, start := owners(t, 1, 1, tt.give)
			var got []int64
			for {
				at, _ := node.Deadline()
				if at.Sub(start) > 70*time.Second {
					break
				}
				if announced(node.Step(Tick{}, at)) > 0 {
					got = append(got, at.Sub(start).Milliseconds())
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("announced at %v ms, want %v", got, tt.want)
			}
		})
	}
}

// TestAllowance: somebody spoofs a rival of each of 100 routers, 1000 times a
// second. What we announce because of it has one bound for all of them.
func TestAllowance(t *testing.T) {
	node, now := owners(t, 100, 20, Announcing{})
	for now.Before(time.Unix(20, 0)) { // let the take-over's own announcements pass
		now, _ = node.Deadline()
		node.Step(Tick{}, now)
	}
	const seconds = 10
	end, total, sent := now.Add(seconds*time.Second), 0, 0
	src, dst := netip.MustParseAddr("10.0.0.66"), netip.MustParseAddr("224.0.0.18")
	for ; now.Before(end); now = now.Add(time.Millisecond) {
		for at, ok := node.Deadline(); ok && !at.After(now); at, ok = node.Deadline() {
			total += announced(node.Step(Tick{}, at))
		}
		packet := Advert{VRID: uint8(sent%100 + 1), Priority: 1, Interval: time.Second}.encode(src, dst)
		total += announced(node.Step(Received{Interface: "eth0", Src: src, Dst: dst, TTL: 255, Packet: packet}, now))
		sent++
	}
	if limit := allowanceMax + seconds*allowanceRate + 100; total > limit || total < allowanceRate {
		t.Errorf("%d announcements in %d s because of %d spoofed adverts, want at most %d, and some", total, seconds, sent, limit)
	}
}

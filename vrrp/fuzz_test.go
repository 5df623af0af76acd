package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzStep plays any sequence of events to one node. The world checks what
// must hold after each; here it must also come to an end when halted.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0, 0, 1, 40, 2, 100, 3, 0, 1, 255})
	f.Add([]byte{0, 1, 1, 200, 2, 0, 4, 0, 1, 10, 2, 255, 0, 3, 1, 30, 5, 0, 5, 0})
	f.Add([]byte{0, 7, 1, 200, 0, 8, 0, 15, 6, 50, 2, 101, 1, 1, 3, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newWorld(t)
		m := w.add("a", netip.MustParsePrefix("10.0.0.1/24"))
		for ; len(script) >= 2; script = script[2:] {
			arg := script[1]
			switch script[0] % 7 {
			case 0:
				w.configure(m, fuzzRouters(arg))
			case 1:
				w.run(time.Duration(arg) * 10 * time.Millisecond)
			case 2:
				w.step(m, fuzzAdvert(arg, arg))
			case 3:
				w.setLink(m, m.cut)
			case 4:
				w.step(m, Resign{Name: "web"})
			case 5: // late
				w.advance(w.at + time.Duration(arg)*time.Second)
				w.step(m, Tick{})
			case 6: // whatever is on the wire
				w.step(m, Received{
					Interface: "eth0", Src: netip.AddrFrom4([4]byte{10, 0, 0, arg}), Dst: group4, TTL: 255,
					Packet: script[2:],
				})
			}
		}
		w.step(m, Halt{})
		w.run(time.Minute)
		if !m.node.Idle() || len(m.present) > 0 || len(m.answers) > 0 {
			t.Errorf("halted, and has %v, answers %v", m.present, m.answers)
		}
		if at, ok := m.node.Deadline(); ok {
			t.Errorf("halted, and waits for %v", at)
		}
	})
}

// fuzzRouters are up to two routers, by the bits of b.
func fuzzRouters(b byte) []Router {
	var list []Router
	for i, name := range []string{"dns", "web"} {
		if b&1 == 0 {
			r := Router{
				Key: Key{name, IPv4}, VRID: uint8(51 + i), Interface: "eth0", AdvertInterval: 100 * time.Millisecond,
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + b&2)}), 24)},
				Priority:  Priority{Base: 100}, Preempt: PreemptMode(b >> 2 & 1), PreemptDelay: time.Second,
			}
			if b&8 != 0 {
				r.Priority.Base = 255
			}
			list = append(list, r)
		}
		b >>= 4
	}
	return list
}

func fuzzAdvert(from, priority byte) Received {
	src := netip.AddrFrom4([4]byte{10, 0, 0, from})
	a := Advert{VRID: 51 + from&1, Priority: priority, Interval: 100 * time.Millisecond}
	return Received{Interface: "eth0", Src: src, Dst: group4, TTL: 255, Packet: a.encode(src, group4)}
}

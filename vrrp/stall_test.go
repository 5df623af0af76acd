package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// A watchdog that obeys Limit silences a stalled node before any peer's down
// timer fires, and has nothing to watch while no router is master.
func TestLimit(t *testing.T) {
	w := newWorld(t)
	m := w.add("a", netip.MustParsePrefix("10.0.0.1/24"))
	router := func(name string, vrid uint8, interval time.Duration) Router {
		return Router{
			Key: Key{name, IPv4}, VRID: vrid, Interface: "eth0", AdvertInterval: interval, Priority: Priority{Base: 200},
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, vrid}), 24)},
		}
	}
	limit := func() time.Duration {
		at, ok := m.node.Limit()
		if !ok {
			return 0
		}
		return at.Sub(w.now)
	}
	w.configure(m, []Router{router("fast", 51, 100*time.Millisecond), router("slow", 50, time.Second)})
	if d := limit(); d != 0 {
		t.Errorf("backup: %v", d)
	}
	w.run(time.Second) // the fast one is master
	if d := limit(); d <= 100*time.Millisecond || d > 200*time.Millisecond {
		t.Errorf("one master: %v after an advert at the latest", d)
	}
	w.run(10 * time.Second)
	if d := limit(); d <= 100*time.Millisecond || d > 200*time.Millisecond {
		t.Errorf("two masters: %v after an advert at the latest", d)
	}
	w.step(m, Resign{Name: "slow"})
	w.step(m, Resign{Name: "fast"})
	if d, most := limit(), 4*100*time.Millisecond+200*time.Millisecond; d <= 0 || d > most {
		t.Errorf("leaving: %v, want at most %v", d, most)
	}
	w.run(10 * time.Second)
	last := m.node.routers[0].advertAt.Add(-100 * time.Millisecond)
	at, _ := m.node.Limit()
	if peer := last.Add(3 * 100 * time.Millisecond); !at.Before(peer) {
		t.Errorf("limit %v after the last advert, a peer takes over %v after it", at.Sub(last), peer.Sub(last))
	}
}

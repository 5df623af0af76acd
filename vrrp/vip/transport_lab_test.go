package vip_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// A virtual MAC with every way that adverts can travel: by unicast they leave
// from the interface, with AH they have a socket of their own.
func TestLabVirtualMACTransports(t *testing.T) {
	lab.Require(t, "root", "ip", "ping", "nft")
	for _, tc := range []struct {
		name   string
		change func(*vrrp.Router)
	}{
		{"unicast", func(r *vrrp.Router) {
			r.PlainAdverts = true
			r.Unicast = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
			if r.Family == vrrp.IPv6 {
				r.Unicast = []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")}
			}
		}},
		{"AH", func(r *vrrp.Router) {
			if r.Family == vrrp.IPv4 {
				r.Version, r.AdvertInterval, r.Auth = vrrp.VRRPv2, time.Second, vrrp.Auth{Type: vrrp.AuthAH, Keys: []vrrp.AuthKey{{Secret: vrrp.NewSecret([]byte("secret"))}}}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := lab.New(t)
			a, b := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64")), newElector(t, n.Node("b", "10.0.0.2/24", "fd00::2/64"))
			client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
			owns := func(owner, other *elector) {
				t.Helper()
				owner.wait(vrrp.Master)
				other.wait(vrrp.Backup)
				for _, mac := range []net.HardwareAddr{mac4.MAC(), mac6.MAC()} {
					wantBehind(t, n, mac, owner.node)
				}
				client.Run(t, "ping", "-c1", "-W3", "10.0.0.100")
			}
			a.set(200, tc.change)
			b.set(100, tc.change)
			owns(a, b)
			a.set(50, tc.change)
			must(t, a.engine.HandOver(t.Context(), "web"))
			owns(b, a)
			a.set(200, tc.change)
			owns(a, b)
			for _, e := range []*elector{a, b} {
				for _, s := range e.engine.Status() {
					if len(s.Counters.Dropped) > 0 {
						t.Errorf("%s has dropped %v", e.node.Name(), s.Counters.Dropped)
					}
				}
			}
		})
	}
}

// What somebody removes from under an owner comes back, and speaks again.
func TestLabVirtualMACRemovedFromOwner(t *testing.T) {
	lab.Require(t, "root", "ip", "ping", "tcpdump", "nft")
	n := lab.New(t)
	a := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64"))
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	a.set(200)
	a.wait(vrrp.Master)
	for _, remove := range []string{"link del vrrp.51", "addr del 10.0.0.100/24 dev vrrp.51", "link set vrrp.51 down"} {
		a.node.Run(t, "ip", strings.Fields(remove)...)
		lab.Poll(t, 10*time.Second, remove+": it is back", func() bool {
			_, err := client.Output(t.Context(), "ping", "-c1", "-W1", "10.0.0.100")
			return err == nil
		})
		capture(t, client, "ip proto 112 and ether src 00:00:5e:00:01:33", 2, func() {})
		wantLink(t, a.node, "vrrp.51", ",UP", "alias harmony")
	}
	a.wait(vrrp.Master)
}

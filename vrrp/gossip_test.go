package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestGossip: a router with Gossip hears adverts for its id by gossip and none
// by any other way, is at fault while gossip is not there, and names its peers.
func TestGossip(t *testing.T) {
	now := time.Unix(1000, 0)
	r := Router{
		Key: Key{Name: "web", Family: IPv4}, VRID: 0x39, Gossip: 0x3039, Interface: "eth0",
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/24")}, Priority: Priority{Base: 100}, AdvertInterval: time.Second,
	}
	plain := r
	plain.Name, plain.Gossip, plain.Addresses = "wire", 0, []netip.Prefix{netip.MustParsePrefix("10.0.0.101/24")}
	routers, err := Admit(nil, []Router{r, plain})
	if err != nil {
		t.Fatal(err)
	}
	n := NewNode()
	state := func() RouterStatus { return n.Status()[0] }
	link := Link{Interface: "eth0", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Gossip: "nobody has answered yet"}
	n.Step(link, now)
	n.Step(Configure{Routers: routers}, now)
	if s := state(); s.State != Fault || !strings.Contains(s.Why, "nobody has answered yet") {
		t.Errorf("without gossip: %v, %s", s.State, s.Why)
	}
	if s := n.Status()[1]; s.State != Backup {
		t.Errorf("the router on the wire is %v", s.State)
	}
	link.Gossip = ""
	n.Step(link, now)
	if s := state(); s.State != Backup || s.Cause != Startup {
		t.Errorf("with gossip: %v, %v", s.State, s.Cause)
	}
	advert := func(gossip uint32) Received {
		a := Advert{VRID: r.VRID, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")}}
		src := netip.MustParseAddr("10.0.0.2")
		return Received{Interface: "eth0", Src: src, Dst: group4, TTL: 255, Packet: a.encode(src, group4), Gossip: gossip, Node: "node-b"}
	}
	for _, gossip := range []uint32{0, 0x39, 0x1039} {
		n.Step(advert(gossip), now)
		if s := state(); s.Counters.Received != 0 {
			t.Errorf("hears the advert for %#x", gossip)
		}
	}
	n.Step(advert(r.Gossip), now)
	if s := state(); s.Counters.Received != 1 || s.Why != "BACKUP: node-b (10.0.0.2) advertises 200, I have 100" {
		t.Errorf("after an advert: %d received, %s", s.Counters.Received, s.Why)
	}
	now = now.Add(5 * time.Second)
	for _, a := range n.Step(Tick{}, now) {
		if send, ok := a.(Send); ok && send.Key == r.Key && send.Gossip != r.Gossip {
			t.Errorf("sends by %#x", send.Gossip)
		}
	}
	link.Gossip = "no address"
	n.Step(link, now)
	if s := state(); s.State != Fault || s.Cause != NoGossip {
		t.Errorf("gossip lost: %v, %v", s.State, s.Cause)
	}
}

// TestGossipValidate: what a router with Gossip cannot have.
func TestGossipValidate(t *testing.T) {
	good := Router{
		Key: Key{Name: "web", Family: IPv4}, VRID: 0, Gossip: 1 << 8, Interface: "eth0",
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/24")}, Priority: Priority{Base: 100}, AdvertInterval: time.Second,
	}
	if err := good.Validate(); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, spoil := range map[string]func(*Router){
		"another VRID": func(r *Router) { r.VRID = 1 },
		"version 2":    func(r *Router) { r.Version = VRRPv2 },
		"peers":        func(r *Router) { r.Unicast = []netip.Addr{netip.MustParseAddr("10.0.0.2")} },
		"least TTL":    func(r *Router) { r.MinTTL = 1 },
		"virtual MAC":  func(r *Router) { r.Device = "vrrp.1" },
		"signature":    func(r *Router) { r.Auth = Auth{Type: AuthHMAC, Keys: []AuthKey{{Secret: NewSecret(make([]byte, 32))}}} },
	} {
		r := good
		spoil(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "gossip: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

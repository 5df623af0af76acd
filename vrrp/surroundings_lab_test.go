package vrrp_test

import (
	"net/netip"
	"strings"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// TestLabRestore: somebody removes addresses from under the owner, as
// NetworkManager and networkd do: they are put back, and counted.
func TestLabRestore(t *testing.T) {
	lab.Require(t, "root")
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			c := cell{family: f}
			nd := lab.New(t).Node("a", "10.0.0.1/24", "fd00::1/64")
			e := startEngine(t, nd)
			if err := e.Set([]vrrp.Router{c.router(200)}); err != nil {
				t.Fatal(err)
			}
			has := func() bool {
				return strings.Contains(nd.Run(t, "ip", "-o", "addr", "show", "dev", "eth0"), c.vip().String())
			}
			lab.Poll(t, patience, "it has the address", func() bool { return status(t, e).State == vrrp.Master && has() })
			for want := range uint64(2) {
				nd.Run(t, "ip", "addr", "del", c.vip().String(), "dev", "eth0")
				lab.Poll(t, patience, "the address is back", func() bool { return has() && status(t, e).Counters.Restored == want+1 })
			}
			if s := status(t, e); s.State != vrrp.Master || s.Problem != "" {
				t.Errorf("want a master without problems, got %+v", s)
			}
		})
	}
}

// TestLabTracked: a router follows another interface.
func TestLabTracked(t *testing.T) {
	lab.Require(t, "root")
	nd := lab.New(t).Node("a", "10.0.0.1/24")
	e := startEngine(t, nd)
	r := cell{family: vrrp.IPv4}.router(200)
	r.Track = []vrrp.TrackInterface{{Interface: "up0", Weight: -50}}
	if err := e.Set([]vrrp.Router{r}); err != nil {
		t.Fatal(err)
	}
	priority := func(want uint8) {
		t.Helper()
		lab.Poll(t, patience, "the priority follows the link", func() bool {
			s := status(t, e)
			return s.State == vrrp.Master && s.Router.Priority.Effective() == want
		})
	}
	priority(150)
	nd.Run(t, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "far0")
	nd.Run(t, "ip", "link", "set", "up0", "up")
	nd.Run(t, "ip", "link", "set", "far0", "up")
	priority(200)
	nd.Run(t, "ip", "link", "set", "far0", "down") // its carrier
	priority(150)
	if s := status(t, e); !strings.Contains(s.Router.Priority.Terms[0].Reason, "track up0 down") {
		t.Errorf("want the reason, got %+v", s.Router.Priority)
	}
	r.Track[0].Weight = 0
	if err := e.Set([]vrrp.Router{r}); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "it is at fault", func() bool { return status(t, e).State == vrrp.Fault })
	nd.Run(t, "ip", "link", "del", "up0")
	if s := status(t, e); s.State != vrrp.Fault || !strings.Contains(s.Why, "track up0") {
		t.Errorf("want the fault explained, got %v: %s", s.State, s.Why)
	}
}

// TestLabPrimary: the address that adverts come from is changed under the
// owner, which goes on with the new one.
func TestLabPrimary(t *testing.T) {
	lab.Require(t, "root")
	nd := lab.New(t).Node("a", "10.0.0.1/24")
	e := startEngine(t, nd)
	if err := e.Set([]vrrp.Router{cell{family: vrrp.IPv4}.router(200)}); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "it is master", func() bool { return status(t, e).State == vrrp.Master })
	nd.Run(t, "ip", "addr", "add", "10.0.0.7/24", "dev", "eth0")
	nd.Run(t, "sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=1")
	nd.Run(t, "ip", "addr", "del", "10.0.0.1/24", "dev", "eth0")
	var s vrrp.RouterStatus
	lab.Poll(t, patience, "adverts come from the new address", func() bool {
		s = status(t, e)
		return s.Source == netip.MustParseAddr("10.0.0.7").String()
	})
	sent := s.Counters.Sent
	lab.Poll(t, patience, "it goes on", func() bool { return status(t, e).Counters.Sent > sent+3 })
	if s := status(t, e); s.State != vrrp.Master || s.Problem != "" {
		t.Errorf("want a master without problems, got %+v", s)
	}
}

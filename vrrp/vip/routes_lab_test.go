package vip_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

var (
	web4, web6 = vrrp.Key{Name: "web", Family: vrrp.IPv4}, vrrp.Key{Name: "web", Family: vrrp.IPv6}
	other4     = vrrp.Key{Name: "other", Family: vrrp.IPv4}
)

// wanted are routes and rules of all kinds.
func wanted() map[vrrp.Key]vip.Routing {
	net, addr := netip.MustParsePrefix, netip.MustParseAddr
	return map[vrrp.Key]vip.Routing{
		web4: {
			Routes: []vrrp.Route{
				{Destination: net("10.1.0.0/16"), Via: addr("10.0.0.9"), Source: addr("10.0.0.100")},
				{Destination: net("0.0.0.0/0"), Via: addr("10.0.0.9"), Interface: "eth0", Table: 100, Metric: 7},
				{Destination: net("10.2.0.0/16"), Interface: "eth0"},
				{Destination: net("10.3.0.0/16"), Type: vrrp.RouteBlackhole},
			},
			Rules: []vrrp.Rule{
				{Family: vrrp.IPv4, Priority: 1000, From: net("10.0.0.100/32"), Table: 100},
				{Family: vrrp.IPv4, Priority: 1001, Mark: 7, Mask: 15, Input: "eth0", Table: 100},
			},
		},
		web6: {
			Routes: []vrrp.Route{
				{Destination: net("fd01::/64"), Via: addr("fd00::9"), Metric: 50},
				{Destination: net("fd03::/64"), Type: vrrp.RouteUnreachable},
			},
			Rules: []vrrp.Rule{{Family: vrrp.IPv6, Priority: 1000, To: net("fd05::/64"), Table: 100}},
		},
		other4: {Routes: []vrrp.Route{{Destination: net("10.9.0.0/16"), Type: vrrp.RouteProhibit}}},
	}
}

// routing is what ip(8) shows of ours, and of the foreign.
func routes(t *testing.T, node *lab.Node) string {
	t.Helper()
	var all string
	for _, family := range []string{"-4", "-6"} {
		all += node.Run(t, "ip", family, "route", "show", "table", "all") + node.Run(t, "ip", family, "rule", "show")
	}
	return all
}

func wantRoutes(t *testing.T, node *lab.Node, when string, want bool, list ...string) {
	t.Helper()
	got := routes(t, node)
	for _, w := range list {
		if strings.Contains(got, w) != want {
			t.Errorf("%s: %q is there: %v, in\n%s", when, w, !want, got)
		}
	}
}

var (
	of4 = []string{
		"10.1.0.0/16 via 10.0.0.9 dev eth0 proto 112 src 10.0.0.100", "default via 10.0.0.9 dev eth0 table 100 proto 112 metric 7",
		"10.2.0.0/16 dev eth0 proto 112 scope link", "blackhole 10.3.0.0/16 proto 112",
		"1000:	from 10.0.0.100 lookup 100 proto 112", "1001:	from all fwmark 0x7/0xf iif eth0 lookup 100 proto 112",
	}
	of6 = []string{
		"fd01::/64 via fd00::9 dev eth0 proto 112 metric 50", "unreachable fd03::/64 dev lo proto 112", "1000:	from all to fd05::/64 lookup 100 proto 112",
	}
	ofOther = []string{"prohibit 10.9.0.0/16 proto 112"}
)

func TestLabRoutes(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24", "fd00::1/64")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	a := open(t, node, journal, nil)
	must(t, a.Sweep(nil), a.PrepareRoutes(wanted()), a.Add("eth0", prefixes("10.0.0.100/24")))
	wantRoutes(t, node, "backup", false, "proto 112")
	for _, when := range []string{"owner", "owner again"} {
		must(t, a.Serve([]vrrp.Key{web4, web6}))
		wantRoutes(t, node, when, true, append(of4, of6...)...)
		wantRoutes(t, node, when, false, ofOther...)
	}
	// What somebody has removed comes back with the next preparation.
	node.Run(t, "ip", "route", "del", "blackhole", "10.3.0.0/16")
	node.Run(t, "ip", "rule", "del", "priority", "1001")
	must(t, a.PrepareRoutes(wanted()))
	wantRoutes(t, node, "repaired", true, of4...)
	must(t, a.Serve([]vrrp.Key{other4, web6}))
	wantRoutes(t, node, "one lost, one won", false, of4...)
	wantRoutes(t, node, "one lost, one won", true, append(of6, ofOther...)...)

	// A change of an owner's configuration takes effect at once.
	less := wanted()
	less[web6] = vip.Routing{Routes: less[web6].Routes[:1]}
	must(t, a.PrepareRoutes(less))
	wantRoutes(t, node, "less is wanted", false, of6[1:]...)
	wantRoutes(t, node, "less is wanted", true, of6[0])

	b := open(t, node, journal, nil) // a was killed
	must(t, b.Sweep(nil))
	wantRoutes(t, node, "swept", false, "proto 112")
	c := open(t, node, journal, nil)
	must(t, c.PrepareRoutes(wanted()), c.Serve(nil))
	wantRoutes(t, node, "nothing is left", false, "proto 112")
}

// Routes and rules of others are neither taken over nor removed, even if they
// lead to the same place.
func TestLabForeignRoutesStay(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24", "fd00::1/64")
	node.Run(t, "ip", "route", "add", "10.1.0.0/16", "via", "10.0.0.8")
	node.Run(t, "ip", "route", "add", "10.4.0.0/16", "via", "10.0.0.8")
	node.Run(t, "ip", "rule", "add", "from", "10.0.0.100", "lookup", "100", "priority", "1000")
	foreign := routes(t, node)
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	must(t, a.PrepareRoutes(wanted()), a.Add("eth0", prefixes("10.0.0.100/24")))
	err := a.Serve([]vrrp.Key{web4})
	if err == nil || !strings.Contains(err.Error(), "adding route 10.1.0.0/16 via 10.0.0.9 src 10.0.0.100: there is one already that is not ours") {
		t.Errorf("beside a foreign route: %v", err)
	}
	wantRoutes(t, node, "the others are there", true, of4[1:]...)
	must(t, a.Serve(nil), a.Remove("eth0", prefixes("10.0.0.100/24")))
	if got := routes(t, node); got != foreign {
		t.Errorf("foreign routes were\n%s\nand are\n%s", foreign, got)
	}
}

// In the engine, routes come after their addresses and go before them.
func TestLabRoutesFollowTheOwner(t *testing.T) {
	lab.Require(t, "root", "ip", "nft")
	n := lab.New(t)
	a, b := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64")), newElector(t, n.Node("b", "10.0.0.2/24", "fd00::2/64"))
	for _, e := range []*elector{a, b} {
		must(t, e.vips.PrepareRoutes(wanted()))
	}
	a.set(200)
	b.set(100)
	owns := func(e, other *elector) {
		t.Helper()
		e.wait(vrrp.Master)
		other.wait(vrrp.Backup)
		wantRoutes(t, e.node, "owner", true, append(of4, of6...)...)
		wantRoutes(t, other.node, "backup", false, "proto 112")
	}
	owns(a, b)
	a.set(50)
	must(t, a.engine.HandOver(t.Context(), "web"))
	owns(b, a)
	a.set(200)
	owns(a, b)
	must(t, a.engine.Stop(t.Context()))
	wantRoutes(t, a.node, "stopped", false, "proto 112")
}

package vip_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp/vip"
)

// Neighbors may ask for an address before it is here: a switch that snoops MLD
// knows the way already.
func TestLabSolicitedNodeGroups(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "fd00::1/64")
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	groups := func(iface string, want bool, list ...string) {
		t.Helper()
		got := node.Run(t, "ip", "-6", "maddr", "show", "dev", iface)
		for _, g := range list {
			if strings.Contains(got, "inet6 "+g) != want {
				t.Errorf("member of %s on %s is not %v:\n%s", g, iface, want, got)
			}
		}
	}
	first, second, macGroup := "ff02::1:ff00:100", "ff02::1:ff00:200", "ff02::1:ff00:300"
	equip(t, a, vip.Device{Name: mac6.Name, Parent: "eth0", Router: mac6.Router, VRID: 51})
	must(t, a.Prepare(map[string][]netip.Prefix{"eth0": prefixes("fd00::100/64", "10.0.0.100/24", "fe80::200/64"), "vrrp6.51": prefixes("fd00::300/64"), "absent": prefixes("fd00::400/64"), "lo": prefixes("fd00::500/128")}))
	groups("eth0", true, first, second, macGroup)
	wantAddresses(t, node, "prepared", "fd00::1/64")

	// It is a member while the address comes and goes, and no more after that.
	must(t, a.Add("eth0", prefixes("fd00::100/64")), a.Remove("eth0", prefixes("fd00::100/64")))
	groups("eth0", true, first)
	must(t, a.Prepare(map[string][]netip.Prefix{"eth0": prefixes("fe80::200/64")}))
	groups("eth0", false, first, macGroup)
	groups("eth0", true, second)

	// An interface that has come back is joined anew.
	for range 2 {
		node.Run(t, "ip", "link", "add", "p9", "type", "veth", "peer", "p10")
		node.Run(t, "ip", "link", "set", "p9", "up")
		must(t, a.Prepare(map[string][]netip.Prefix{"p9": prefixes("fd00::100/64")}))
		groups("p9", true, first)
		node.Run(t, "ip", "link", "del", "p9")
	}

	var many []netip.Prefix
	for i := range 255 {
		many = append(many, netip.MustParsePrefix(fmt.Sprintf("fd00::1:%x/64", i+0x10)))
	}
	must(t, a.Prepare(map[string][]netip.Prefix{"eth0": many}))
	groups("eth0", true, "ff02::1:ff01:10", "ff02::1:ff01:10e")
}

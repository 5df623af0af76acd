package vip_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

var (
	mac4 = vip.Device{Name: "vrrp.51", Parent: "eth0", Router: vrrp.Key{Name: "web", Family: vrrp.IPv4}, VRID: 51}
	mac6 = vip.Device{Name: "vrrp6.51", Parent: "eth0", Router: vrrp.Key{Name: "web", Family: vrrp.IPv6}, VRID: 51}
)

// equip prepares devices, all of which must be had.
func equip(t testing.TB, a *vip.Addresses, devices ...vip.Device) {
	t.Helper()
	for name, err := range a.PrepareDevices(devices) {
		t.Fatalf("device %s: %v", name, err)
	}
}

func link(t testing.TB, node *lab.Node, device string) string {
	t.Helper()
	out, err := node.Output(t.Context(), "ip", "-d", "link", "show", device)
	if err != nil {
		return ""
	}
	return out
}

func wantLink(t testing.TB, node *lab.Node, device string, want ...string) {
	t.Helper()
	got := link(t, node, device)
	for _, w := range want {
		if not, is := strings.CutPrefix(w, "!"); strings.Contains(got, not) == is {
			t.Errorf("%s: want %q in\n%s", device, w, got)
		}
	}
}

func wantConf(t testing.TB, node *lab.Node, when, iface string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := strings.TrimSpace(node.Run(t, "cat", "/proc/sys/net/ipv4/conf/"+iface+"/"+name)); got != value {
			t.Errorf("%s: %s of %s is %s, want %s", when, name, iface, got, value)
		}
	}
}

// wantBehind waits until the switch sends frames for mac to the node.
func wantBehind(t testing.TB, n *lab.Net, mac net.HardwareAddr, node *lab.Node) {
	t.Helper()
	lab.Poll(t, 3*time.Second, mac.String()+" is behind "+node.Name(), func() bool {
		name, err := n.Behind(mac)
		must(t, err)
		return name == node.Name()
	})
}

func TestLabVirtualMAC(t *testing.T) {
	lab.Require(t, "root", "ip", "ping", "tcpdump")
	n := lab.New(t)
	node, client := n.Node("node", "10.0.0.1/24", "fd00::1/64"), n.Node("client", "10.0.0.9/24", "fd00::9/64", "192.0.2.9/24")
	must(t, node.Sysctl("net.ipv4.conf.eth0.arp_ignore", "2"), node.Sysctl("net.ipv4.conf.all.rp_filter", "1"))
	before := map[string]string{"arp_ignore": "2", "arp_filter": "0", "arp_announce": "0"}
	wantConf(t, node, "before", "eth0", before)
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	vips4, vips6 := prefixes("10.0.0.100/24", "192.0.2.1/24"), prefixes("fd00::100/64")
	must(t, a.Sweep(nil))
	for range 2 {
		equip(t, a, mac4, mac6)
		must(t, a.Prepare(map[string][]netip.Prefix{"vrrp.51": vips4, "vrrp6.51": vips6}))
		wantLink(t, node, "vrrp.51", "00:00:5e:00:01:33", "macvlan mode private", "alias harmony web/IPv4", "!,UP")
		wantLink(t, node, "vrrp6.51", "00:00:5e:00:02:33", "macvlan mode private", "!,UP")
	}
	wantConf(t, node, "prepared", "eth0", map[string]string{"arp_ignore": "2", "arp_filter": "1", "arp_announce": "2"})
	wantConf(t, node, "prepared", "vrrp.51", map[string]string{"accept_local": "1", "arp_ignore": "1", "rp_filter": "2"})

	must(t, a.Add("vrrp.51", vips4), a.Add("vrrp6.51", vips6))
	must(t, a.Answer([]netip.Addr{vips4[0].Addr(), vips4[1].Addr(), vips6[0].Addr()}))
	wantAddresses(t, node, "added", "10.0.0.1/24", "fd00::1/64")
	if got := node.Run(t, "ip", "-6", "addr", "show", "dev", "vrrp6.51"); strings.Contains(got, "fe80:") || strings.Contains(got, "tentative") {
		t.Errorf("addresses of the IPv6 device:\n%s", got)
	}
	// The client is served under the virtual MAC; what the node says by itself
	// goes by the interface, with its own address.
	for _, w := range []struct{ addr, mac string }{
		{"10.0.0.100", "00:00:5e:00:01:33"}, {"192.0.2.1", "00:00:5e:00:01:33"}, {"fd00::100", "00:00:5e:00:02:33"},
	} {
		client.Run(t, "ping", "-c1", "-W3", w.addr)
		if got := client.Run(t, "ip", "neigh", "show", w.addr); !strings.Contains(got, w.mac) {
			t.Errorf("the client's neighbour: %s, want %s", got, w.mac)
		}
	}
	for to, want := range map[string]string{"10.0.0.9": "dev eth0 src 10.0.0.1", "fd00::9": "dev eth0", "192.0.2.9": "dev vrrp.51 src 192.0.2.1"} {
		if got := node.Run(t, "ip", "route", "get", to); !strings.Contains(got, want) {
			t.Errorf("route to %s has not %q: %s", to, want, got)
		}
	}
	wantBehind(t, n, mac4.MAC(), node)
	wantBehind(t, n, mac6.MAC(), node)
	client.Run(t, "ip", "neigh", "flush", "all")
	// The node asks for the client by its own address, not by a virtual one.
	node.Run(t, "ip", "neigh", "flush", "dev", "eth0")
	client.Run(t, "ping", "-c1", "-W3", "10.0.0.100")
	if got := client.Run(t, "ip", "neigh", "show", "10.0.0.100"); !strings.Contains(got, "00:00:5e:00:01:33") {
		t.Errorf("after the node has asked for the client it has %s", got)
	}

	seen := capture(t, client, "arp or (icmp6 and ip6[40] == 136)", 2, func() {
		must(t, a.Announce("vrrp.51", vips4[:1]), a.Announce("vrrp6.51", vips6))
	})
	for _, want := range []string{"00:00:5e:00:01:33 > ff:ff:ff:ff:ff:ff", "00:00:5e:00:02:33 > 33:33:00:00:00:01", "(1): 00:00:5e:00:02:33"} {
		if !strings.Contains(seen, want) {
			t.Errorf("tcpdump has not shown %q:\n%s", want, seen)
		}
	}

	must(t, a.Answer(nil))
	wantLink(t, node, "vrrp.51", "!,UP")
	wantLink(t, node, "vrrp6.51", "!,UP")
	must(t, a.Remove("vrrp.51", vips4), a.Remove("vrrp6.51", vips6))
	equip(t, a)
	if link(t, node, "vrrp.51") != "" || link(t, node, "vrrp6.51") != "" {
		t.Error("the devices are still there")
	}
	wantConf(t, node, "removed", "eth0", before)
}

// What a killed life has left goes, and its settings with it.
func TestLabVirtualMACSweptAfterCrash(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24", "fd00::1/64")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	a := open(t, node, journal, nil)
	vips := prefixes("10.0.0.100/24", "10.0.0.101/24")
	equip(t, a, mac4, mac6)
	must(t, a.Prepare(map[string][]netip.Prefix{"vrrp.51": vips}), a.Add("vrrp.51", vips))

	b := open(t, node, journal, nil)
	must(t, b.Sweep(func(_ string, addr netip.Prefix) bool { return addr == vips[1] }))
	wantLink(t, node, "vrrp.51", "alias harmony", ",UP")
	if got := node.Run(t, "ip", "addr", "show", "dev", "vrrp.51"); strings.Contains(got, "10.0.0.100/") || !strings.Contains(got, "10.0.0.101/") {
		t.Errorf("swept, but one address kept:\n%s", got)
	}
	if link(t, node, "vrrp6.51") != "" {
		t.Error("the device without addresses is still there")
	}
	c := open(t, node, journal, nil)
	must(t, c.Sweep(nil))
	if link(t, node, "vrrp.51") != "" {
		t.Error("the device is still there")
	}
	wantConf(t, node, "swept", "eth0", map[string]string{"arp_ignore": "0", "arp_filter": "0", "arp_announce": "0"})
}

// A device of that name that is not ours is not used, not changed and not
// removed, whatever the journal says.
func TestLabVirtualMACForeignStays(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	a := open(t, node, journal, nil)
	equip(t, a, mac4)
	node.Run(t, "ip", "link", "del", "vrrp.51")
	node.Run(t, "ip", "link", "add", "vrrp.51", "link", "eth0", "address", mac4.MAC().String(), "type", "macvlan", "mode", "private")
	refused := a.PrepareDevices([]vip.Device{mac4})["vrrp.51"]
	var typed *vip.DeviceError
	if !errors.As(refused, &typed) || !strings.Contains(refused.Error(), "VirtualRouter web spec.virtualMAC: device vrrp.51 on eth0") {
		t.Errorf("beside a foreign device: %v", refused)
	}
	if err := a.Add("vrrp.51", prefixes("10.0.0.100/24")); !errors.As(err, &typed) {
		t.Errorf("adding to a foreign device: %v", err)
	}
	b := open(t, node, journal, nil)
	must(t, b.Sweep(nil))
	wantLink(t, node, "vrrp.51", "macvlan", "!,UP")
}

// Where there can be no macvlan, the error says what to do.
func TestLabVirtualMACRefused(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24")
	node.Run(t, "ip", "link", "add", "br9", "type", "bridge")
	node.Run(t, "ip", "link", "add", "p9", "type", "veth", "peer", "p10")
	node.Run(t, "ip", "link", "set", "p9", "master", "br9")
	node.Run(t, "ip", "link", "add", "theirs", "link", "eth0", "address", "00:00:5e:00:01:07", "type", "macvlan", "mode", "private")
	node.Run(t, "ip", "link", "set", "theirs", "up")
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	on := func(name, parent string, vrid uint8) vip.Device {
		return vip.Device{Name: name, Parent: parent, Router: vrrp.Key{Name: "web", Family: vrrp.IPv4}, VRID: vrid}
	}
	for name, err := range a.PrepareDevices([]vip.Device{on("m.1", "p9", 1), on("m.2", "lo", 2), on("m.3", "absent", 3), on("m.4", "eth0", 4), on("m.7", "eth0", 7)}) {
		want := map[string]string{
			"m.1": "is a port of bridge br9, and a port cannot carry a macvlan: set spec.interface to br9",
			"m.2": "cannot carry a macvlan: set another spec.interface",
		}[name]
		if want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	wantLink(t, node, "m.4", "macvlan")
	// The kernel notices the same MAC only when both are up.
	if err := a.Add("m.7", prefixes("10.0.0.100/24")); err == nil {
		t.Error("two devices with one MAC are up")
	}
}

// Interface and device may go and come back.
func TestLabVirtualMACComesBack(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24")
	make9 := func() {
		node.Run(t, "ip", "link", "add", "p9", "type", "veth", "peer", "p10")
		node.Run(t, "ip", "link", "set", "p9", "up")
	}
	make9()
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	dev := vip.Device{Name: "vrrp.9", Parent: "p9", Router: vrrp.Key{Name: "web", Family: vrrp.IPv4}, VRID: 9}
	vips := prefixes("10.0.0.100/24")
	equip(t, a, dev)
	must(t, a.Prepare(map[string][]netip.Prefix{"vrrp.9": vips}))
	for _, gone := range []string{"p9", "vrrp.9"} {
		must(t, a.Add("vrrp.9", vips))
		node.Run(t, "ip", "link", "del", gone)
		equip(t, a, dev) // no interface is no error
		must(t, a.Answer(nil), a.Remove("vrrp.9", vips))
		if gone == "p9" {
			make9()
		}
		must(t, a.Add("vrrp.9", vips), a.Answer([]netip.Addr{vips[0].Addr()}))
		wantLink(t, node, "vrrp.9", ",UP", "alias harmony")
		wantConf(t, node, "after "+gone, "p9", map[string]string{"arp_ignore": "1"})
		wantConf(t, node, "after "+gone, "vrrp.9", map[string]string{"arp_ignore": "1"})
	}
}

// What a life leaves for the next one serves meanwhile, and the next one can
// keep it or give it up.
func TestLabVirtualMACLeft(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("node", "10.0.0.1/24", "fd00::1/64")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	a := open(t, node, journal, &strictFence{})
	vips4, vips6 := prefixes("10.0.0.100/24"), prefixes("fd00::100/64")
	all := map[string][]netip.Prefix{"vrrp.51": vips4, "vrrp6.51": vips6}
	equip(t, a, mac4, mac6)
	must(t, a.Prepare(all), a.Add("vrrp.51", vips4), a.Add("vrrp6.51", vips6), a.Answer([]netip.Addr{vips4[0].Addr(), vips6[0].Addr()}))
	must(t, a.Answer(nil))
	wantDown := func(device string) {
		t.Helper()
		lab.Poll(t, 3*time.Second, device+" is down", func() bool { return !strings.Contains(link(t, node, device), ",UP") })
	}
	wantDown("vrrp.51")
	wantDown("vrrp6.51")
	if n, err := a.Leave(time.Minute); n != 2 || err != nil {
		t.Errorf("left %d addresses, %v", n, err)
	}
	for device, addr := range map[string]string{"vrrp.51": "10.0.0.100/24", "vrrp6.51": "fd00::100/64"} {
		wantLink(t, node, device, ",UP")
		if got := node.Run(t, "ip", "addr", "show", "dev", device); !strings.Contains(got, addr) || strings.Contains(got, "valid_lft forever") {
			t.Errorf("left on %s:\n%s", device, got)
		}
	}

	b := open(t, node, journal, &strictFence{})
	left, err := b.Left()
	must(t, err, b.Sweep(func(iface string, addr netip.Prefix) bool { return slices.Contains(left[iface], addr) }))
	equip(t, b, mac4, mac6)
	must(t, b.Prepare(all), b.Add("vrrp.51", vips4))
	if got := node.Run(t, "ip", "addr", "show", "dev", "vrrp.51"); !strings.Contains(got, "valid_lft forever") {
		t.Errorf("kept:\n%s", got)
	}
	must(t, b.Answer([]netip.Addr{vips4[0].Addr()})) // another has the IPv6 address
	wantLink(t, node, "vrrp.51", ",UP")
	wantDown("vrrp6.51")
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

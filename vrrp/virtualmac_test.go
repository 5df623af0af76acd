package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestVirtualMAC: addresses live on the device, and adverts leave with the
// virtual MAC only while the router answers.
func TestVirtualMAC(t *testing.T) {
	now := time.Unix(1000, 0)
	addr := netip.MustParsePrefix("10.0.0.100/24")
	r := Router{
		Key: Key{Name: "web", Family: IPv4}, VRID: 51, Interface: "eth0", Device: "vrrp.51",
		Addresses: []netip.Prefix{addr}, Priority: Priority{Base: 100}, AdvertInterval: time.Second,
	}
	n := NewNode()
	homes := func(actions []Action) (list []string) {
		for _, a := range actions {
			switch a := a.(type) {
			case AddAddresses:
				list = append(list, "add "+a.Interface)
			case Announce:
				list = append(list, "announce "+a.Interface)
			case RemoveAddresses:
				list = append(list, "remove "+a.Interface)
			case Lost:
				list = append(list, "lost "+a.Interface)
			case Send:
				from := "send " + a.Interface
				if i, ok := n.find(a.Key); ok && n.routers[i].speaksVirtually(a.Dst) {
					from += " virtually"
				}
				list = append(list, from)
			}
		}
		return list
	}
	step := func(what string, ev Event, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, homes(n.Step(ev, now))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	link := func(name string, addrs ...string) Link {
		l := Link{Interface: name, Up: true}
		for _, a := range addrs {
			l.Addresses = append(l.Addresses, netip.MustParsePrefix(a))
		}
		return l
	}
	step("link", link("eth0", "10.0.0.1/24"))
	step("configured", Configure{Routers: []Router{r}})
	now = now.Add(4 * time.Second)
	step("master", Tick{}, "add vrrp.51", "announce vrrp.51", "send eth0 virtually")
	step("the device is as it should be", link("vrrp.51", addr.String()))
	now = now.Add(2 * time.Second)
	step("the interface is not looked at for it", link("eth0", "10.0.0.1/24", "10.0.0.3/24"))
	step("somebody has removed the device", Link{Interface: "vrrp.51"}, "lost vrrp.51", "add vrrp.51", "announce vrrp.51")
	now = now.Add(2 * time.Second)
	disabled := link("vrrp.51", addr.String())
	disabled.Up, disabled.Disabled = false, true
	step("somebody has taken it down", disabled, "lost vrrp.51", "add vrrp.51", "announce vrrp.51")
	better := Advert{VRID: 51, Priority: 200, Interval: time.Second, Addresses: []netip.Addr{addr.Addr()}}
	src, dst := netip.MustParseAddr("10.0.0.2"), group4
	step("gives way, and its last advert does not turn the switches back",
		Received{Interface: "eth0", Src: src, Dst: dst, TTL: 255, Packet: better.encode(src, dst)}, "send eth0")
	now = now.Add(holdAfterLoss)
	step("held long enough", Tick{}, "remove vrrp.51")

	now = now.Add(10 * time.Second)
	n.Step(Tick{}, now)
	now = now.Add(10 * time.Second)
	n.Step(Tick{}, now)
	plain := r
	plain.PlainAdverts = true
	step("plain adverts", Configure{Routers: []Router{plain}})
	if n.routers[0].state != Master || n.routers[0].speaksVirtually(dst) {
		t.Errorf("%v, virtually: %v", n.routers[0].state, n.routers[0].speaksVirtually(dst))
	}
	if r.Home() != "vrrp.51" || !n.routers[0].answering {
		t.Error("the device is not its home")
	}
	r.Device = ""
	step("without a device it is another one", Configure{Routers: []Router{r}}, "send eth0", "remove vrrp.51")
}

// TestDeviceNames: a device belongs to one router, and its name fits.
func TestDeviceNames(t *testing.T) {
	if got := MACDevice("abcdefghij", IPv6, 255); got != "abcdefghij6.255" || len(got) > maxIfName {
		t.Errorf("longest name is %q", got)
	}
	if got := VirtualMAC(IPv4, 51).String() + " " + VirtualMAC(IPv6, 255).String(); got != "00:00:5e:00:01:33 00:00:5e:00:02:ff" {
		t.Errorf("MACs are %s", got)
	}
	a := Router{
		Key: Key{Name: "a", Family: IPv4}, VRID: 1, Interface: "eth0", Device: "vrrp.1",
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, Priority: Priority{Base: 1}, AdvertInterval: time.Second,
	}
	b, c := a, a
	b.Name, b.Interface, b.Addresses = "b", "eth1", []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}
	c.Name, c.Device = "c", "eth0"
	admitted, err := Admit(nil, []Router{a, b, c})
	if len(admitted) != 1 || err == nil {
		t.Errorf("admitted %v, %v", admitted, err)
	}
}

// TestLinkLocalOnEachInterface: a link-local address is one on each interface.
func TestLinkLocalOnEachInterface(t *testing.T) {
	a := Router{
		Key: Key{Name: "a", Family: IPv6}, VRID: 1, Interface: "eth0",
		Addresses: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}, Priority: Priority{Base: 1}, AdvertInterval: time.Second,
	}
	b, c := a, a
	b.Name, b.Interface = "b", "eth1"
	c.Name, c.VRID = "c", 2
	admitted, err := Admit(nil, []Router{a, b, c})
	if len(admitted) != 2 || err == nil {
		t.Errorf("admitted %v, %v", admitted, err)
	}
}

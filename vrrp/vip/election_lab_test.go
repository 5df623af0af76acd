package vip_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/nft"
	"harmony/vrrp"
	"harmony/vrrp/vip"
)

// elector is a node with an engine, an actuator and a fence, as an agent has
// them.
type elector struct {
	*testing.T
	node   *lab.Node
	vips   *vip.Addresses
	engine *vrrp.Engine
}

func newElector(t *testing.T, node *lab.Node) *elector {
	t.Helper()
	e := &elector{T: t, node: node}
	log := slog.New(slog.NewTextHandler(output{t, node.Name()}, nil))
	var fence *nft.Fence
	must(t, node.Do(func() (err error) {
		if fence, err = nft.NewFence(log); err != nil {
			return err
		}
		e.vips, err = vip.New(vip.Options{Journal: filepath.Join(t.TempDir(), "addresses.json"), Fence: fence, Log: log})
		if err != nil {
			return err
		}
		e.engine, err = vrrp.Start(vrrp.Options{Log: log, Actuator: e.vips})
		return err
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // without hand-over
		must(t, e.engine.Stop(ctx), e.vips.Sweep(nil), e.vips.Close(), fence.Close())
	})
	return e
}

type output struct {
	*testing.T
	node string
}

func (o output) Write(p []byte) (int, error) {
	o.Logf("%s: %s", o.node, p)
	return len(p), nil
}

// set runs the two routers of VRID 51, with virtual MACs.
func (e *elector) set(priority uint8, change ...func(*vrrp.Router)) {
	e.Helper()
	places := map[string][]netip.Prefix{}
	var routers []vrrp.Router
	var devices []vip.Device
	for family, addrs := range map[vrrp.Family][]netip.Prefix{vrrp.IPv4: prefixes("10.0.0.100/24"), vrrp.IPv6: prefixes("fe80::100/64", "fd00::100/64")} {
		r := vrrp.Router{
			Key: vrrp.Key{Name: "web", Family: family}, VRID: 51, Interface: "eth0", Device: vrrp.MACDevice("vrrp", family, 51),
			Addresses: addrs, Priority: vrrp.Priority{Base: priority}, AdvertInterval: 100 * time.Millisecond,
		}
		for _, f := range change {
			f(&r)
		}
		routers = append(routers, r)
		places[r.Home()] = r.Addresses
		if r.Device != "" {
			devices = append(devices, vip.Device{Name: r.Device, Parent: r.Interface, Router: r.Key, VRID: r.VRID})
		}
	}
	equip(e.T, e.vips, devices...)
	must(e.T, e.vips.Prepare(places), e.engine.Set(routers))
}

func (e *elector) is(state vrrp.State) bool {
	for _, s := range e.engine.Status() {
		if s.State != state || s.Problem != "" {
			return false
		}
	}
	return true
}

func (e *elector) wait(state vrrp.State) {
	e.Helper()
	lab.Poll(e.T, 10*time.Second, e.node.Name()+" is "+state.String(), func() bool { return e.is(state) })
}

// watch samples where the switch sees a MAC, every millisecond until stopped.
func watch(t *testing.T, n *lab.Net, mac net.HardwareAddr) (stop func() []string) {
	var seen []string
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		for tick := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-tick.C {
			if name, err := n.Behind(mac); err == nil && name != "" && (len(seen) == 0 || seen[len(seen)-1] != name) {
				seen = append(seen, name)
			}
		}
	})
	return func() []string { cancel(); wg.Wait(); return seen }
}

// The switch follows the owner with every change of ownership, and is never
// turned back by a node that has given way.
func TestLabVirtualMACElection(t *testing.T) {
	lab.Require(t, "root", "ip", "ping", "tcpdump", "nft")
	n := lab.New(t)
	a, b := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64")), newElector(t, n.Node("b", "10.0.0.2/24", "fd00::2/64"))
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	macs := []net.HardwareAddr{mac4.MAC(), mac6.MAC()}
	owned := func(when string, owner, other *elector) {
		t.Helper()
		owner.wait(vrrp.Master)
		other.wait(vrrp.Backup)
		for i, mac := range macs {
			wantBehind(t, n, mac, owner.node)
			addr := []string{"10.0.0.100", "fd00::100"}[i]
			client.Run(t, "ping", "-c1", "-W3", addr)
			if got := client.Run(t, "ip", "neigh", "show", addr); !strings.Contains(got, mac.String()) {
				t.Errorf("%s: the client has %s", when, got)
			}
			device := []string{"vrrp.51", "vrrp6.51"}[i]
			wantLink(t, owner.node, device, ",UP")
			lab.Poll(t, 3*time.Second, device+" is down on the other", func() bool { return !strings.Contains(link(t, other.node, device), ",UP") })
		}
	}
	a.set(200)
	b.set(100)
	owned("at first", a, b)
	seen := capture(t, client, "ip proto 112 or ip6 proto 112", 6, func() {})
	for _, want := range []string{"00:00:5e:00:01:33 > 01:00:5e:00:00:12", "00:00:5e:00:02:33 > 33:33:00:00:00:12", "10.0.0.1 > 224.0.0.18", "> ff02::12"} {
		if !strings.Contains(seen, want) {
			t.Errorf("tcpdump has not shown %q:\n%s", want, seen)
		}
	}
	for _, step := range []struct {
		name         string
		owner, other *elector
		act          func()
	}{
		{"handed over", b, a, func() {
			a.set(50)
			must(t, a.engine.HandOver(t.Context(), "web"))
		}},
		{"preempted", a, b, func() { a.set(200) }},
		{"cut", b, a, func() { must(t, a.node.Cut()); b.wait(vrrp.Master); must(t, a.node.Heal()); a.set(50) }},
	} {
		t.Run(step.name, func(t *testing.T) {
			stop := watch(t, n, macs[0])
			step.act()
			owned(step.name, step.owner, step.other)
			// Some adverts and the refresh of the old node's would-be frames.
			client.Run(t, "ping", "-c4", "-i0.1", "-W3", "10.0.0.100")
			if got := stop(); len(got) > 2 || got[len(got)-1] != step.owner.node.Name() {
				t.Errorf("the switch saw the MAC behind %v", got)
			}
		})
	}
}

// With PlainAdverts the adverts have the interface's MAC, and the rest is the
// same. Without a device all is as it was.
func TestLabVirtualMACPlainAdverts(t *testing.T) {
	lab.Require(t, "root", "ip", "tcpdump", "nft")
	n := lab.New(t)
	a, b := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64")), newElector(t, n.Node("b", "10.0.0.2/24", "fd00::2/64"))
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	a.set(200, func(r *vrrp.Router) { r.PlainAdverts = true })
	b.set(100)
	a.wait(vrrp.Master)
	b.wait(vrrp.Backup)
	for _, mac := range []net.HardwareAddr{mac4.MAC(), mac6.MAC()} {
		wantBehind(t, n, mac, a.node)
	}
	if seen := capture(t, client, "ip proto 112 or ip6 proto 112", 6, func() {}); strings.Contains(seen, "00:00:5e:00:0") {
		t.Errorf("an advert has the virtual MAC:\n%s", seen)
	}
	a.set(200, func(r *vrrp.Router) { r.Device = "" })
	lab.Poll(t, 10*time.Second, "a owns without virtual MAC", func() bool {
		return a.is(vrrp.Master) && strings.Contains(a.node.Run(t, "ip", "addr", "show", "eth0"), "10.0.0.100/24")
	})
	b.wait(vrrp.Backup)
	equip(t, a.vips)
	if link(t, a.node, "vrrp.51") != "" {
		t.Error("the device is still there")
	}
}

// keepalived with use_vmac on the other side, both ways. With vmac_xmit_base it
// listens on its interface alone, where the kernel does not show it what comes
// from its own virtual MAC: it needs our adverts from the interface, too.
func TestLabVirtualMACBesideKeepalived(t *testing.T) {
	lab.Require(t, "root", "ip", "ping", "keepalived", "nft")
	for _, options := range []string{"", "vmac_xmit_base"} {
		for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
			t.Run(fmt.Sprintf("%v %s", family, options), func(t *testing.T) { besideKeepalived(t, family, options) })
		}
	}
}

func besideKeepalived(t *testing.T, family vrrp.Family, options string) {
	n := lab.New(t)
	a, b := newElector(t, n.Node("a", "10.0.0.1/24", "fd00::1/64")), n.Node("b", "10.0.0.2/24", "fd00::2/64")
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	addr, mac := "10.0.0.100", mac4.MAC()
	if family == vrrp.IPv6 {
		addr, mac = "fd00::100", mac6.MAC()
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "keepalived.conf")
	must(t, writeFile(conf, fmt.Sprintf(`vrrp_instance web {
 version 3
 interface eth0
 virtual_router_id 51
 priority 100
 advert_int 0.1
 use_vmac
 %s
 virtual_ipaddress {
  %s
 }
}
`, options, map[vrrp.Family]string{vrrp.IPv4: "10.0.0.100/32", vrrp.IPv6: "fe80::100/64\n  fd00::100/128"}[family])))
	keepalived := b.Command(context.Background(), "keepalived", "--vrrp", "--dont-fork", "--log-console", "--log-detail",
		"-f", conf, "-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp.pid"))
	keepalived.Stdout, keepalived.Stderr = output{t, "keepalived"}, output{t, "keepalived"}
	must(t, b.Start(keepalived))

	owner := func(node *lab.Node) {
		t.Helper()
		wantBehind(t, n, mac, node)
		lab.Poll(t, 5*time.Second, "the client reaches "+addr, func() bool {
			_, err := client.Output(t.Context(), "ping", "-c1", "-W1", addr)
			return err == nil
		})
		// keepalived itself teaches the client its interface's MAC, by asking
		// for the client with the virtual address as sender.
		if got := client.Run(t, "ip", "neigh", "show", addr); node != b && !strings.Contains(got, mac.String()) {
			t.Errorf("the client has %s", got)
		}
		wantBehind(t, n, mac, node)
	}
	owner(b)
	one := func(r *vrrp.Router) {
		r.PlainAdverts = options != ""
		if r.Family != family { // keepalived runs one of them
			r.Name, r.VRID, r.Device = "alone", 52, vrrp.MACDevice("vrrp", r.Family, 52)
		}
	}
	a.set(200, one)
	a.wait(vrrp.Master)
	owner(a.node)
	a.set(50, one)
	must(t, a.engine.HandOver(t.Context(), "web"))
	owner(b)
}

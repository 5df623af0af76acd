package vip_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/vrrp/vip"
)

// strictFence remembers what it was told.
type strictFence struct{ fenced, answering []netip.Addr }

func (f *strictFence) Set(fenced []netip.Addr) error { f.fenced = fenced; return nil }

func (f *strictFence) Devices(map[string]net.HardwareAddr) error { return nil }

func (f *strictFence) Answer(answering []netip.Addr) error {
	for _, a := range answering {
		if !slices.Contains(f.fenced, a) {
			return fmt.Errorf("%s answers but is not fenced", a)
		}
	}
	f.answering = answering
	return nil
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// open returns the actuator of a node. Only New runs inside the namespace.
func open(t testing.TB, node *lab.Node, journal string, fence vip.Fence) (a *vip.Addresses) {
	t.Helper()
	must(t, node.Do(func() (err error) {
		a, err = vip.New(vip.Options{Journal: journal, Fence: fence, Log: slog.New(slog.DiscardHandler)})
		return err
	}))
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// addresses is what ip(8) shows on eth0, link-local addresses left out.
func addresses(t *testing.T, node *lab.Node) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(node.Run(t, "ip", "-o", "addr", "show", "dev", "eth0")) {
		addr := strings.Fields(line)[3]
		if !strings.HasPrefix(addr, "fe80:") {
			out = append(out, addr)
		}
	}
	slices.Sort(out)
	return out
}

func wantAddresses(t *testing.T, node *lab.Node, when string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, addresses(t, node)); diff != "" {
		t.Errorf("%s: addresses (-want +got):\n%s", when, diff)
	}
}

func TestLabAddRemove(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a", "10.0.0.1/24", "fd00::1/64")
	fence := &strictFence{}
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), fence)
	vips := prefixes("10.0.0.100/24", "192.0.2.1/32", "fd00::100/64", "2001:db8::1/128")
	must(t, a.Sweep(nil), a.Prepare(map[string][]netip.Prefix{"eth0": vips}))
	wantAddresses(t, node, "prepared", "10.0.0.1/24", "fd00::1/64")

	for _, when := range []string{"added", "added again"} {
		must(t, a.Add("eth0", vips))
		wantAddresses(t, node, when, "10.0.0.1/24", "fd00::1/64", "10.0.0.100/24", "192.0.2.1/32", "fd00::100/64", "2001:db8::1/128")
	}
	must(t, a.Answer([]netip.Addr{vips[0].Addr(), vips[3].Addr()}))
	// Nothing is tentative, and what this node sends has its own addresses.
	shown := node.Run(t, "ip", "addr", "show", "dev", "eth0")
	if strings.Contains(shown, "tentative") {
		t.Errorf("an address is tentative:\n%s", shown)
	}
	for to, want := range map[string]string{"10.0.0.9": "src 10.0.0.1", "fd00::9": "src fd00::1"} {
		if got := node.Run(t, "ip", "route", "get", to); !strings.Contains(got, want) {
			t.Errorf("route to %s has not %q: %s", to, want, got)
		}
	}
	for _, when := range []string{"removed", "removed again"} {
		must(t, a.Remove("eth0", vips))
		wantAddresses(t, node, when, "10.0.0.1/24", "fd00::1/64")
	}
	if got := node.Run(t, "ip", "-6", "route", "show", "fd00::/64"); !strings.Contains(got, "fd00::/64 dev eth0") {
		t.Errorf("the node's own route went with the address: %q", got)
	}
}

// TestLabAddedAddressesAreServed: whoever hears the announcement that follows
// may send at once.
func TestLabAddedAddressesAreServed(t *testing.T) {
	lab.Require(t, "root")
	node := lab.New(t).Node("a", "10.0.0.1/24", "fd00::1/64")
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	vips := prefixes("10.0.0.100/24", "fd00::100/64", "2001:db8::1/128")
	must(t, a.Sweep(nil), a.Prepare(map[string][]netip.Prefix{"eth0": vips}))
	missed := map[netip.Addr]int{}
	for range 50 {
		must(t, a.Add("eth0", vips))
		for _, v := range vips {
			must(t, node.Do(func() error {
				routes, err := netlink.RouteGet(v.Addr().AsSlice())
				if err != nil || routes[0].Type != unix.RTN_LOCAL {
					missed[v.Addr()]++
				}
				return nil
			}))
		}
		must(t, a.Remove("eth0", vips))
	}
	for v, n := range missed {
		if n > 5 { // the wait is bounded, and the machine may be busy
			t.Errorf("%s: was not delivered to at once, %d times of 50", v, n)
		}
	}
}

func TestLabAddNamesWhatFails(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a", "10.0.0.1/24")
	must(t, node.Sysctl("net.ipv6.conf.eth0.disable_ipv6", "1"))
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	err := a.Add("eth0", prefixes("fd00::100/64", "10.0.0.100/24", "fd00::101/64"))
	if err == nil || !strings.Contains(err.Error(), "fd00::100/64") || !strings.Contains(err.Error(), "fd00::101/64") ||
		strings.Contains(err.Error(), "10.0.0.100") {
		t.Errorf("got error %v, want one that names the IPv6 addresses", err)
	}
	wantAddresses(t, node, "half of it worked", "10.0.0.1/24", "10.0.0.100/24")

	if err := a.Add("eth7", prefixes("10.0.0.101/24")); err == nil || !strings.Contains(err.Error(), "10.0.0.101/24") {
		t.Errorf("on an interface that is not there: %v", err)
	}
	must(t, a.Remove("eth7", prefixes("10.0.0.101/24")))
}

// The kernel would remove the node's own address along with a VIP that was
// there first, as after "ip addr del" and "add" of the former.
func TestLabRemoveSparesOthersInSubnet(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a")
	must(t, node.Sysctl("net.ipv4.conf.all.promote_secondaries", "0"), node.Sysctl("net.ipv4.conf.eth0.promote_secondaries", "0"))
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	must(t, a.Add("eth0", prefixes("10.0.0.100/24")))
	node.Run(t, "ip", "addr", "add", "10.0.0.1/24", "dev", "eth0")
	must(t, a.Remove("eth0", prefixes("10.0.0.100/24")))
	wantAddresses(t, node, "removed", "10.0.0.1/24")
}

func TestLabForeignAddressesStay(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a", "10.0.0.1/24", "10.0.0.100/24", "fd00::100/128")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	fence := &strictFence{}
	vips := prefixes("10.0.0.100/24", "fd00::100/128", "10.0.0.101/24", "10.0.0.102/24")
	wanted := map[string][]netip.Prefix{"eth0": vips}

	a := open(t, node, journal, fence)
	must(t, a.Sweep(nil), a.Prepare(wanted))
	if diff := cmp.Diff([]string{"10.0.0.101", "10.0.0.102"}, text(fence.fenced)); diff != "" {
		t.Errorf("fenced at first (-want +got):\n%s", diff)
	}
	// Somebody is faster than we are: theirs, too.
	node.Run(t, "ip", "addr", "add", "10.0.0.102/24", "dev", "eth0")
	must(t, a.Add("eth0", vips))
	if diff := cmp.Diff([]string{"10.0.0.101"}, text(fence.fenced)); diff != "" {
		t.Errorf("fenced after adoption (-want +got):\n%s", diff)
	}
	must(t, a.Remove("eth0", vips))
	wantAddresses(t, node, "removed", "10.0.0.1/24", "10.0.0.100/24", "fd00::100/128", "10.0.0.102/24")

	// The next life knows it from the journal.
	must(t, a.Add("eth0", vips))
	b := open(t, node, journal, fence)
	must(t, b.Sweep(nil))
	wantAddresses(t, node, "swept", "10.0.0.1/24", "10.0.0.100/24", "fd00::100/128", "10.0.0.102/24")
	must(t, b.Prepare(wanted), b.Add("eth0", vips), b.Remove("eth0", vips))
	wantAddresses(t, node, "next life", "10.0.0.1/24", "10.0.0.100/24", "fd00::100/128", "10.0.0.102/24")

	// Once its owner has removed it, it is ours to add and remove.
	node.Run(t, "ip", "addr", "del", "10.0.0.100/24", "dev", "eth0")
	must(t, b.Add("eth0", vips[:1]), b.Remove("eth0", vips[:1]))
	wantAddresses(t, node, "given up", "10.0.0.1/24", "fd00::100/128", "10.0.0.102/24")
}

func text(addrs []netip.Addr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

func TestLabSweepAfterCrash(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a", "10.0.0.1/24")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	vips := prefixes("10.0.0.100/24", "fd00::100/128", "10.0.0.101/24")
	a := open(t, node, journal, nil)
	must(t, a.Prepare(map[string][]netip.Prefix{"eth0": vips}), a.Add("eth0", vips))
	if info, err := os.Stat(journal); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: %v, %v", info.Mode(), err)
	}

	b := open(t, node, journal, nil) // a was killed
	must(t, b.Sweep(func(iface string, addr netip.Prefix) bool { return iface == "eth0" && addr == vips[2] }))
	wantAddresses(t, node, "swept", "10.0.0.1/24", "10.0.0.101/24")
	must(t, b.Prepare(map[string][]netip.Prefix{"eth0": vips[:1]}))
	must(t, b.Remove("eth0", vips[2:]))
	wantAddresses(t, node, "what was kept is ours", "10.0.0.1/24")

	// What we have let go, others may have: it is not swept.
	node.Run(t, "ip", "addr", "add", "10.0.0.101/24", "dev", "eth0")
	c := open(t, node, journal, nil)
	must(t, c.Sweep(nil))
	wantAddresses(t, node, "swept again", "10.0.0.1/24", "10.0.0.101/24")
}

// What one life leaves the kernel removes in time, unless the next life adds it.
func TestLabLeftAddressesAreInheritedOrExpire(t *testing.T) {
	lab.Require(t, "root", "ip")
	node := lab.New(t).Node("a", "10.0.0.1/24")
	journal := filepath.Join(t.TempDir(), "addresses.json")
	vips := prefixes("10.0.0.100/24", "10.0.0.101/24", "fd00::100/64", "fd00::101/128")
	wanted := map[string][]netip.Prefix{"eth0": vips}
	a := open(t, node, journal, nil)
	must(t, a.Prepare(wanted), a.Add("eth0", vips))
	if left, err := a.Left(); err != nil || len(left) > 0 {
		t.Errorf("nothing is left yet: %v, %v", left, err)
	}
	if n, err := a.Leave(2 * time.Second); err != nil || n != len(vips) {
		t.Errorf("left %d, %v", n, err)
	}
	wantAddresses(t, node, "left", "10.0.0.1/24", "10.0.0.100/24", "10.0.0.101/24", "fd00::100/64", "fd00::101/128")

	b := open(t, node, journal, nil)
	left, err := b.Left()
	if diff := cmp.Diff(wanted, left, cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })); diff != "" || err != nil {
		t.Errorf("left (-want +got):\n%s%v", diff, err)
	}
	must(t, b.Sweep(func(iface string, addr netip.Prefix) bool { return slices.Contains(left[iface], addr) }))
	again := []netip.Prefix{vips[0], vips[2]}
	must(t, b.Prepare(wanted), b.Add("eth0", again))
	lab.Poll(t, 15*time.Second, "the kernel has removed the others", func() bool { return len(addresses(t, node)) == 3 })
	wantAddresses(t, node, "expired", "10.0.0.1/24", "10.0.0.100/24", "fd00::100/64")
	for _, addr := range again {
		if out := node.Run(t, "ip", "-o", "addr", "show", "to", addr.Addr().String()); !strings.Contains(out, "valid_lft forever") {
			t.Errorf("%v was added anew, and ends: %s", addr, out)
		}
	}
	must(t, b.Remove("eth0", vips))
	wantAddresses(t, node, "removed", "10.0.0.1/24")
}

// The neighbours of two nodes follow the announcements of the new owner.
func TestLabAnnounceMovesNeighbours(t *testing.T) {
	lab.Require(t, "root", "ip", "ping")
	n := lab.New(t)
	one, two := n.Node("one", "10.0.0.1/24", "fd00::1/64"), n.Node("two", "10.0.0.2/24", "fd00::2/64")
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	vips := prefixes("10.0.0.100/24", "fd00::100/64")
	dir := t.TempDir()
	a, b := open(t, one, filepath.Join(dir, "a.json"), nil), open(t, two, filepath.Join(dir, "b.json"), nil)

	must(t, a.Add("eth0", vips), a.Announce("eth0", vips))
	for _, p := range vips {
		client.Run(t, "ping", "-c1", "-W3", p.Addr().String())
		wantNeighbour(t, client, p.Addr(), one)
	}
	must(t, a.Remove("eth0", vips), b.Add("eth0", vips), b.Announce("eth0", vips))
	for _, p := range vips {
		wantNeighbour(t, client, p.Addr(), two)
	}
}

func wantNeighbour(t *testing.T, client *lab.Node, addr netip.Addr, owner *lab.Node) {
	t.Helper()
	mac := strings.Fields(owner.Run(t, "ip", "-br", "link", "show", "eth0"))[2]
	lab.Poll(t, 3*time.Second, fmt.Sprintf("%s is at %s, the address of %s", addr, mac, owner.Name()), func() bool {
		return strings.Contains(client.Run(t, "ip", "neigh", "show", addr.String()), mac)
	})
}

func TestLabAnnouncementsAsTcpdumpReadsThem(t *testing.T) {
	lab.Require(t, "root", "ip", "tcpdump")
	n := lab.New(t)
	node, client := n.Node("node", "10.0.0.1/24", "fd00::1/64"), n.Node("client", "10.0.0.9/24", "fd00::9/64")
	mac := strings.Fields(node.Run(t, "ip", "-br", "link", "show", "eth0"))[2]
	vips := prefixes("10.0.0.100/24", "fd00::100/64")
	a := open(t, node, filepath.Join(t.TempDir(), "addresses.json"), nil)
	must(t, a.Add("eth0", vips))

	for _, tc := range []struct{ name, forwarding, flags string }{
		{"host", "0", "Flags [override]"},
		{"router", "1", "Flags [router, override]"},
	} {
		must(t, node.Sysctl("net.ipv6.conf.eth0.forwarding", tc.forwarding))
		seen := capture(t, client, "arp or (icmp6 and ip6[40] == 136)", 2, func() { must(t, a.Announce("eth0", vips)) })
		for _, want := range []string{
			mac + " > ff:ff:ff:ff:ff:ff, ethertype ARP",
			"Ethernet (len 6), IPv4 (len 4), Request who-has 10.0.0.100 (ff:ff:ff:ff:ff:ff) tell 10.0.0.100, length 28",
			mac + " > 33:33:00:00:00:01, ethertype IPv6",
			"hlim 255, next-header ICMPv6 (58) payload length: 32",
			"fd00::100 > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, tgt is fd00::100, " + tc.flags,
			"destination link-address option (2), length 8 (1): " + mac,
		} {
			if !strings.Contains(seen, want) {
				t.Errorf("%s: tcpdump has not shown %q:\n%s", tc.name, want, seen)
			}
		}
	}
	must(t, a.Announce("lo", vips)) // nobody is there
}

// capture returns what tcpdump on node prints of the first count packets that
// match filter, while do is repeated until they have come.
func capture(t *testing.T, node *lab.Node, filter string, count int, do func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := node.Command(ctx, "tcpdump", "-i", "eth0", "-n", "-e", "-vv", "-l", "-c", fmt.Sprint(count), filter)
	var out strings.Builder
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	must(t, err, node.Start(cmd))
	buf := make([]byte, 1024)
	for heard := ""; !strings.Contains(heard, "listening on"); {
		k, err := stderr.Read(buf)
		must(t, err)
		heard += string(buf[:k])
	}
	do()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tcpdump: %v\n%s", err, out.String())
	}
	return out.String()
}

// A take-over of many addresses: what the election waits for.
func BenchmarkLabTakeOver(b *testing.B) {
	const count = 1000
	node := lab.New(b).Node("a", "10.0.0.1/8")
	a := open(b, node, filepath.Join(b.TempDir(), "addresses.json"), nil)
	vips := make([]netip.Prefix, count)
	addr := netip.MustParseAddr("10.1.0.0")
	for i := range vips {
		vips[i] = netip.PrefixFrom(addr, 32)
		addr = addr.Next()
	}
	must(b, a.Prepare(map[string][]netip.Prefix{"eth0": vips}))
	b.Run("prepare-again", func(b *testing.B) {
		for b.Loop() {
			must(b, a.Prepare(map[string][]netip.Prefix{"eth0": vips}))
		}
	})
	b.Run("add-remove", func(b *testing.B) {
		for b.Loop() {
			must(b, a.Add("eth0", vips), a.Remove("eth0", vips))
		}
	})
	must(b, a.Add("eth0", vips))
	b.Run("announce", func(b *testing.B) {
		for b.Loop() {
			must(b, a.Announce("eth0", vips))
		}
	})
	must(b, a.Remove("eth0", vips))
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			must(b, a.Add("eth0", vips[:1]), a.Announce("eth0", vips[:1]), a.Remove("eth0", vips[:1]))
		}
	})
}

package nft_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"harmony/bench/lab"
	"harmony/nft"
)

func newFirewall(t *testing.T, node *lab.Node) (f *nft.Firewall) {
	t.Helper()
	must(t, node.Do(func() (err error) {
		f, err = nft.NewFirewall(slog.New(slog.DiscardHandler))
		return err
	}))
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// listen accepts and closes connections, and answers datagrams, on a port of
// every address.
func listen(t *testing.T, node *lab.Node, port int) {
	t.Helper()
	var l net.Listener
	var u net.PacketConn
	must(t, node.Do(func() (err error) {
		if l, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", port)); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", fmt.Sprintf("[::]:%d", port))
		return err
	}))
	t.Cleanup(func() { must(t, l.Close(), u.Close()) })
	go func() { // ends with l
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	go func() { // ends with u
		buf := make([]byte, 64)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(buf[:n], from)
		}
	}()
}

// open lists what of targets ("tcp/80") the client reaches at addr.
func open(t *testing.T, client *lab.Node, addr string, targets ...string) (list []string) {
	t.Helper()
	for _, target := range targets {
		network, port, _ := strings.Cut(target, "/")
		if network == "ping" {
			if _, err := client.Output(t.Context(), "ping", "-c1", "-W1", addr); err == nil {
				list = append(list, target)
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		c, err := client.Dial(ctx, network, net.JoinHostPort(addr, port))
		if err == nil && network == "udp" {
			deadline, _ := ctx.Deadline()
			must(t, c.SetDeadline(deadline))
			_, _ = c.Write([]byte("x"))
			_, err = c.Read(make([]byte, 1)) // an echo server's answer comes from its own choice of address
		}
		if err == nil {
			list = append(list, target)
		}
		if c != nil {
			_ = c.Close()
		}
		cancel()
	}
	return list
}

func TestLabFirewall(t *testing.T) {
	lab.Require(t, "root", "nft", "ping", "ip")
	n := lab.New(t)
	node := n.Node("node", vip4+"/24", vip6+"/64", own4+"/24", own6+"/64")
	client := n.Node("client", "10.0.0.9/24", "fd00::9/64")
	node.Run(t, "nft", foreignTable)
	foreign := node.Run(t, "nft", "-a", "list", "ruleset")
	for _, port := range []int{22, 80, 8080} {
		listen(t, node, port)
	}
	f := newFirewall(t, node)
	must(t, f.Set(nft.Guard{}))
	all := []string{"ping", "tcp/22", "tcp/80", "tcp/8080"}
	check := func(when string, want map[string][]string) {
		t.Helper()
		for addr, list := range want {
			if diff := cmp.Diff(list, open(t, client, addr, all...)); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", when, addr, diff)
			}
		}
	}
	check("nothing guarded", map[string][]string{vip4: all, vip6: all, own4: all})

	at := func(addr string, port uint16) nft.Endpoint {
		return nft.Endpoint{Address: netip.MustParseAddr(addr), Port: port, Protocol: 6}
	}
	guard := nft.Guard{Addresses: parse(vip4, vip6), Open: []nft.Endpoint{at(vip4, 80), at(vip6, 8080)}}
	must(t, f.Set(guard))
	before := generation(t, node)
	must(t, f.Set(guard))
	if after := generation(t, node); after != before {
		t.Errorf("the same again wrote %d transactions", after-before)
	}
	forget(t, client) // ND to the guarded address must still work
	forget(t, node)
	check("guarded", map[string][]string{vip4: {"ping", "tcp/80"}, vip6: {"ping", "tcp/8080"}, own4: all, own6: all})
	if diff := cmp.Diff(all, open(t, node, vip4, all...)); diff != "" {
		t.Errorf("from the node itself (-want +got):\n%s", diff)
	}
	// What the node begins with a guarded address as its source comes back.
	listen(t, client, 9999)
	node.Run(t, "ping", "-c1", "-W2", "-I", vip4, "10.0.0.9")
	must(t, node.Do(func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(vip4)}, Timeout: 2 * time.Second}
		c, err := d.DialContext(t.Context(), "tcp", "10.0.0.9:9999")
		if err == nil {
			err = c.Close()
		}
		return err
	}))

	must(t, f.Set(nft.Guard{Addresses: parse(vip4), Open: []nft.Endpoint{{Address: netip.MustParseAddr(vip4), Protocol: 6}}}))
	check("all of TCP", map[string][]string{vip4: all, vip6: all})
	ruleset := node.Run(t, "nft", "list", "ruleset")
	for _, want := range []string{"table ip harmony-firewall", "ip daddr != @guarded", "10.0.0.100 . tcp", "ip daddr . meta l4proto . th dport @ports", "ct state established,related", "icmp type echo-request", "hook input priority filter - 10"} {
		if !strings.Contains(ruleset, want) {
			t.Errorf("nft does not print %q:\n%s", want, ruleset)
		}
	}
	node.Run(t, "nft", "flush", "chain", "ip", "harmony-firewall", "input")
	must(t, f.Set(guard))
	check("repaired", map[string][]string{vip4: {"ping", "tcp/80"}})

	g := newFirewall(t, node) // the next life wants none
	must(t, g.Set(nft.Guard{}))
	if diff := cmp.Diff(foreign, node.Run(t, "nft", "-a", "list", "ruleset")); diff != "" {
		t.Errorf("not exactly the foreign table is left (-before +after):\n%s", diff)
	}
	before = generation(t, node)
	must(t, g.Set(nft.Guard{}))
	if after := generation(t, node); after != before {
		t.Errorf("nothing again wrote %d transactions", after-before)
	}
}

// What IPVS serves passes the firewall under the virtual address, whose ports
// are open; a service whose port is not is cut off before IPVS sees it.
func TestLabFirewallBeforeIPVS(t *testing.T) {
	d := newDirector(t)
	table, f := newTable(t, d.node), newFirewall(t, d.node)
	for _, fam := range []family{ipv4, ipv6} {
		vip := netip.MustParsePrefix(fam.vip).Addr()
		must(t, table.Set([]nft.Endpoint{{Address: vip, Port: 80, Protocol: 6}}))
		must(t, f.Set(nft.Guard{Addresses: []netip.Addr{vip}, Open: []nft.Endpoint{{Address: vip, Port: 80, Protocol: 6}}}))
		masqueraded, closed := netip.AddrPortFrom(vip, 80).String(), netip.AddrPortFrom(vip, 81).String()
		if seen, err := d.seenAs(t, masqueraded, 5*time.Second); err != nil || seen != addr(fam.back) {
			t.Errorf("%s: seen as %q, %v, want %s", masqueraded, seen, err, addr(fam.back))
		}
		if seen, err := d.seenAs(t, closed, 500*time.Millisecond); err == nil {
			t.Errorf("%s: answered as %s through the firewall", closed, seen)
		}
		must(t, f.Set(nft.Guard{Addresses: []netip.Addr{vip}, Open: []nft.Endpoint{{Address: vip, Port: 80, Protocol: 6}, {Address: vip, Port: 81, Protocol: 6}}}))
		if seen, err := d.seenAs(t, closed, 5*time.Second); err != nil || seen != addr(fam.client) {
			t.Errorf("%s, opened: seen as %q, %v, want %s", closed, seen, err, addr(fam.client))
		}
	}
}

package nft_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"harmony/bench/lab"
	"harmony/nft"
)

// director is an IPVS director between a client and two real servers: one
// whose route back leads through the director, and one that has none.
type director struct{ node, client *lab.Node }

// family holds the addresses of one family, each with its prefix length.
type family struct{ vip, front, client, back, routed, lost string }

var (
	ipv4 = family{"10.0.0.100/32", "10.0.0.1/24", "10.0.0.9/24", "10.1.0.1/24", "10.1.0.8/24", "10.1.0.9/24"}
	ipv6 = family{"fd00::100/128", "fd00::1/64", "fd00::9/64", "fd01::1/64", "fd01::8/64", "fd01::9/64"}
)

func addr(prefix string) string { return netip.MustParsePrefix(prefix).Addr().String() }

func newDirector(t *testing.T) director {
	lab.Require(t, "root", "ip_vs", "ipvsadm", "ip")
	n := lab.New(t)
	d := director{
		node:   n.Node("director", ipv4.vip, ipv4.front, ipv4.back, ipv6.vip, ipv6.front, ipv6.back),
		client: n.Node("client", ipv4.client, ipv6.client),
	}
	routed, lost := n.Node("routed", ipv4.routed, ipv6.routed), n.Node("lost", ipv4.lost, ipv6.lost)
	for _, sysctl := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.vs.conntrack"} {
		must(t, d.node.Sysctl(sysctl, "1"))
	}
	for _, f := range []family{ipv4, ipv6} {
		routed.Run(t, "ip", "route", "add", "default", "via", addr(f.back))
		serve(t, routed, net.JoinHostPort(addr(f.routed), "8080"))
		serve(t, lost, net.JoinHostPort(addr(f.lost), "8080"))
		d.balance(t, net.JoinHostPort(addr(f.vip), "80"), net.JoinHostPort(addr(f.lost), "8080"))
		d.balance(t, net.JoinHostPort(addr(f.vip), "81"), net.JoinHostPort(addr(f.routed), "8080"))
	}
	return d
}

func (d director) balance(t *testing.T, service, server string) {
	t.Helper()
	d.node.Run(t, "ipvsadm", "-A", "-t", service, "-s", "rr")
	d.node.Run(t, "ipvsadm", "-a", "-t", service, "-r", server, "-m")
}

// serve tells each who connects which address they have.
func serve(t *testing.T, node *lab.Node, address string) {
	t.Helper()
	var l net.Listener
	must(t, node.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			_, _ = io.WriteString(c, host)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

// seenAs returns the address the client has for the real server behind service.
func (d director) seenAs(t *testing.T, service string, patience time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := d.client.Dial(ctx, "tcp", service)
	if err != nil {
		return "", err
	}
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	b, err := io.ReadAll(c)
	return string(b), err
}

// Only masqueraded connections reach a real server whose route back does not
// lead here; all others keep their client's address.
func TestLabMasqueradeBehindIPVS(t *testing.T) {
	d := newDirector(t)
	table := newTable(t, d.node)
	for _, f := range []family{ipv4, ipv6} {
		vip := netip.MustParsePrefix(f.vip).Addr()
		lost, routed := netip.AddrPortFrom(vip, 80).String(), netip.AddrPortFrom(vip, 81).String()

		must(t, table.Set(nil))
		if seen, err := d.seenAs(t, lost, 500*time.Millisecond); err == nil {
			t.Errorf("%s: answered as %s without masquerading", lost, seen)
		}
		must(t, table.Set([]nft.Endpoint{{Address: vip, Port: 80, Protocol: 6}, {Address: vip, Port: 81, Protocol: 17}}))
		for service, want := range map[string]string{lost: addr(f.back), routed: addr(f.client)} {
			if seen, err := d.seenAs(t, service, 5*time.Second); err != nil || seen != want {
				t.Errorf("%s: seen as %q, %v, want %s", service, seen, err, want)
			}
		}
	}
}

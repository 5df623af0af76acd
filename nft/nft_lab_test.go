package nft_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/nft"
)

// The addresses of the fence tests. The node has all of them; the fence is
// about the first two.
const (
	vip4, vip6   = "10.0.0.100", "fd00::100"
	own4, own6   = "10.0.0.1", "fd00::1"
	helper       = "HARMONY_NFT_TEST_FENCE" // makes the test binary hold a fence
	foreignTable = "add table inet theirs; add chain inet theirs c { type filter hook input priority 0; }; add rule inet theirs c tcp dport 9 drop"
)

func TestMain(m *testing.M) {
	if addrs, ok := os.LookupEnv(helper); ok {
		if err := holdFence(strings.Fields(addrs)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holdFence fences addrs, lets them answer and waits to be killed.
func holdFence(addrs []string) error {
	f, err := nft.NewFence(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Set(parse(addrs...)), f.Answer(parse(addrs...))); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func parse(addrs ...string) []netip.Addr {
	out := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		out[i] = netip.MustParseAddr(a)
	}
	return out
}

// pair is a node that holds addresses of its own and virtual ones, and a
// client beside it.
func pair(t *testing.T) (node, client *lab.Node) {
	lab.Require(t, "root", "nft", "ping", "arping", "ip")
	n := lab.New(t)
	node = n.Node("node", own4+"/24", own6+"/64", vip4+"/24", vip6+"/64")
	return node, n.Node("client", "10.0.0.9/24", "fd00::9/64")
}

// answers asks for the link address of addr, of which the client must know
// nothing, and reports whether there was an answer within so many seconds.
func answers(t *testing.T, client *lab.Node, addr, seconds string) bool {
	t.Helper()
	forget(t, client)
	_, err := client.Output(t.Context(), "ping", "-c1", "-W"+seconds, addr)
	return err == nil
}

func forget(t *testing.T, client *lab.Node) {
	t.Helper()
	client.Run(t, "ip", "neigh", "flush", "dev", "eth0", "nud", "all")
}

// wantAnswers checks which of the four addresses answer.
func wantAnswers(t *testing.T, client *lab.Node, when string, want ...string) {
	t.Helper()
	var got []string
	for _, addr := range []string{own4, own6, vip4, vip6} {
		patience := "0.2"
		if slices.Contains(want, addr) {
			patience = "3"
		}
		if answers(t, client, addr, patience) {
			got = append(got, addr)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: addresses that answer (-want +got):\n%s", when, diff)
	}
}

func newFence(t testing.TB, node *lab.Node) (f *nft.Fence) {
	t.Helper()
	if err := node.Do(func() (err error) {
		f, err = nft.NewFence(slog.New(slog.DiscardHandler))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// generation counts the transactions that have changed the node's ruleset.
func generation(t *testing.T, node *lab.Node) (id uint32) {
	t.Helper()
	must(t, node.Do(func() error {
		c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		reply, err := c.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
			Data:   make([]byte, 4),
		})
		if err != nil {
			return err
		}
		attrs, err := netlink.NewAttributeDecoder(reply[0].Data[4:])
		if err != nil {
			return err
		}
		attrs.ByteOrder = binary.BigEndian
		for attrs.Next() {
			if attrs.Type() == unix.NFTA_GEN_ID {
				id = attrs.Uint32()
			}
		}
		return nil
	}))
	return id
}

func TestLabFenceAnswersOnlyWhenTold(t *testing.T) {
	node, client := pair(t)
	f := newFence(t, node)
	wantAnswers(t, client, "before a fence is set", own4, own6, vip4, vip6)

	must(t, f.Set(parse(vip4, vip6)))
	wantAnswers(t, client, "fenced", own4, own6)
	if out, err := client.Output(t.Context(), "arping", "-c1", "-w1", "-I", "eth0", vip4); err == nil {
		t.Errorf("arping was answered while fenced:\n%s", out)
	}

	must(t, f.Answer(parse(vip4)))
	wantAnswers(t, client, "one answers", own4, own6, vip4)
	client.Run(t, "arping", "-c1", "-w2", "-I", "eth0", vip4)
	must(t, f.Answer(parse(vip6)))
	wantAnswers(t, client, "the other answers", own4, own6, vip6)
	must(t, f.Answer(nil))
	wantAnswers(t, client, "none answers", own4, own6)

	must(t, f.Close())
	wantAnswers(t, client, "closed", own4, own6)
	g := newFence(t, node)
	must(t, g.Clean())
	wantAnswers(t, client, "cleaned", own4, own6, vip4, vip6)
}

// A silent node that asks for others from a fenced address would teach them
// where it lives, and so would an ARP request of the kernel's own.
func TestLabFenceAsksNobodyFromSilentAddresses(t *testing.T) {
	node, client := pair(t)
	f := newFence(t, node)
	must(t, f.Set(parse(vip4, vip6)))
	forget(t, client)
	for _, ask := range [][]string{{"-I", vip4, "10.0.0.9"}, {"-I", vip6, "fd00::9"}} {
		forget(t, node)
		if _, err := node.Output(t.Context(), "ping", append([]string{"-c1", "-W0.3"}, ask...)...); err == nil {
			t.Errorf("ping %v found its way without asking", ask)
		}
	}
	if out := client.Run(t, "ip", "neigh"); strings.Contains(out, vip4) || strings.Contains(out, vip6) {
		t.Errorf("the client has learnt a silent address:\n%s", out)
	}
	must(t, f.Answer(parse(vip4, vip6)))
	for _, ask := range [][]string{{"-I", vip4, "10.0.0.9"}, {"-I", vip6, "fd00::9"}} {
		forget(t, node)
		node.Run(t, "ping", append([]string{"-c1", "-W2"}, ask...)...)
	}
}

// A fenced node goes on learning from the announcements of the new owner.
func TestLabFenceHearsAnnouncements(t *testing.T) {
	lab.Require(t, "root", "arping", "ip")
	n := lab.New(t)
	node, other := n.Node("node", own4+"/24"), n.Node("other", "10.0.0.2/24", vip4+"/24")
	must(t, newFence(t, node).Set(parse(vip4)))
	node.Run(t, "ip", "neigh", "replace", vip4, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
	other.Run(t, "arping", "-c1", "-w2", "-U", "-I", "eth0", "-s", vip4, vip4)
	lab.Poll(t, 2*time.Second, "the neighbour entry changes", func() bool {
		return !strings.Contains(node.Run(t, "ip", "neigh"), "02:00:00:00:00:99")
	})
}

func TestLabFenceOutlivesKilledOwner(t *testing.T) {
	node, client := pair(t)
	cmd := node.Command(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+vip4+" "+vip6)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, node.Start(cmd))
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	wantAnswers(t, client, "owner lives", own4, own6, vip4, vip6)
	if err := node.Do(func() error {
		f, err := nft.NewFence(slog.New(slog.DiscardHandler))
		if err == nil {
			return f.Close()
		}
		return err
	}); err == nil || errors.Is(err, nft.ErrUnsupported) {
		t.Errorf("a second fence beside a live one: %v", err)
	}

	must(t, cmd.Process.Kill())
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	wantAnswers(t, client, "owner killed", own4, own6)

	// Those who know the way are still served.
	mac := strings.Fields(node.Run(t, "ip", "-br", "link", "show", "eth0"))[2]
	for _, addr := range []string{vip4, vip6} {
		client.Run(t, "ip", "neigh", "replace", addr, "lladdr", mac, "dev", "eth0", "nud", "permanent")
		client.Run(t, "ping", "-c1", "-W2", addr)
	}

	// The next life adopts what is there.
	f := newFence(t, node)
	before := generation(t, node)
	must(t, f.Set(parse(vip4, vip6)))
	if after := generation(t, node); after != before {
		t.Errorf("adopting wrote %d transactions", after-before)
	}
	client.Run(t, "ip", "neigh", "del", vip4, "dev", "eth0")
	client.Run(t, "ip", "neigh", "del", vip6, "dev", "eth0")
	must(t, f.Answer(parse(vip4, vip6)))
	wantAnswers(t, client, "next owner lives", own4, own6, vip4, vip6)
}

func TestLabSameValueWritesNothing(t *testing.T) {
	lab.Require(t, "root", "nft")
	node := lab.New(t).Node("node", own4+"/24")
	node.Run(t, "nft", foreignTable)
	foreign := node.Run(t, "nft", "-a", "list", "table", "inet", "theirs")
	f, table := newFence(t, node), newTable(t, node)

	sets := map[string]func(...string) error{
		"fence":  func(a ...string) error { return f.Set(parse(a...)) },
		"answer": func(a ...string) error { return f.Answer(parse(a...)) },
		"masquerade": func(a ...string) error {
			var endpoints []nft.Endpoint
			for _, addr := range parse(a...) {
				endpoints = append(endpoints, nft.Endpoint{Address: addr, Port: 80, Protocol: 6})
			}
			return table.Set(endpoints)
		},
	}
	for name, set := range sets {
		for _, value := range [][]string{{vip4, vip6}, {vip6, vip4, vip4}, {vip4}, {}, {"10.0.0.101", "10.0.0.100"}} {
			must(t, set(value...))
			before := generation(t, node)
			must(t, set(value...))
			if after := generation(t, node); after != before {
				t.Errorf("%s %v: the second time wrote %d transactions", name, value, after-before)
			}
		}
	}
	ruleset := node.Run(t, "nft", "list", "ruleset")
	for _, want := range []string{
		"ct original ip daddr . meta l4proto . ct original proto-dst @endpoints masquerade",
		"elements = { 10.0.0.100 . tcp . 80",
		"flags owner",
	} {
		if !strings.Contains(ruleset, want) {
			t.Errorf("nft does not print %q:\n%s", want, ruleset)
		}
	}
	must(t, f.Clean(), f.Close(), table.Remove(), table.Remove())
	if diff := cmp.Diff(foreign, node.Run(t, "nft", "-a", "list", "ruleset")); diff != "" {
		t.Errorf("not exactly the foreign table is left (-before +after):\n%s", diff)
	}
}

// Whatever somebody else does to our tables, the next Set repairs it.
func TestLabTamperedTablesAreRepaired(t *testing.T) {
	lab.Require(t, "root", "nft")
	node := lab.New(t).Node("node", own4+"/24")
	f, table := newFence(t, node), newTable(t, node)
	apply := func() string {
		must(t, f.Set(parse(vip4, vip6)), table.Set([]nft.Endpoint{
			{Address: netip.MustParseAddr(vip4), Port: 80, Protocol: 6},
			{Address: netip.MustParseAddr(vip6), Port: 443, Protocol: 17},
		}))
		return node.Run(t, "nft", "list", "ruleset")
	}
	want := apply()
	for _, tamper := range []string{
		"flush ruleset",
		"delete table ip harmony",
		"flush chain ip6 harmony postrouting",
		"flush set ip harmony endpoints",
		"add element ip harmony endpoints { 192.0.2.1 . tcp . 80 }",
		"add rule ip harmony postrouting masquerade",
		"flush chain arp harmony-fence output",
		"add rule arp harmony-fence output arp operation reply accept",
		"delete element ip6 harmony-fence addresses { fd00::100 }",
	} {
		node.Run(t, "nft", tamper)
		got := apply()
		lines := func(s string) []string { l := strings.Split(s, "\n"); slices.Sort(l); return l } // tables may change places
		if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tamper, diff)
		}
	}
}

func newTable(t *testing.T, node *lab.Node) (table *nft.Table) {
	t.Helper()
	must(t, node.Do(func() (err error) {
		table, err = nft.NewTable(slog.New(slog.DiscardHandler))
		return err
	}))
	t.Cleanup(func() { _ = table.Close() })
	return table
}

// What the election waits for when it takes over, or gives up, addresses.
func BenchmarkLabAnswer(b *testing.B) {
	node := lab.New(b).Node("node")
	for _, count := range []int{1, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			addrs := make([]netip.Addr, count)
			next := netip.MustParseAddr(vip4)
			for i := range addrs {
				addrs[i] = next
				next = next.Next()
			}
			f := newFence(b, node)
			defer f.Close()
			must(b, f.Set(addrs))
			for b.Loop() {
				must(b, f.Answer(addrs), f.Answer(nil))
			}
		})
	}
}

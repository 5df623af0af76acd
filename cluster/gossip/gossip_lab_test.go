package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// patience is for anything that follows from a few adverts, on a busy machine.
const patience = 15 * time.Second

// lab3 is three nodes in namespaces, each with an engine and a mesh.
type lab3 struct {
	*testing.T
	net   *lab.Net
	nodes [3]*member
}

type member struct {
	*lab.Node
	state   string
	config  Config
	base    uint8
	mesh    *Mesh
	engine  *vrrp.Engine
	routers []vrrp.Router
}

const vip = "10.0.0.100/24"

// testKey is a key that depends on n.
func testKey(n byte) Key { return Key{&[KeySize]byte{n, 1, 2, 3}} }

// newLab3 starts three nodes that share a router with an id wider than 8 bits.
// Node a has the highest priority, c the lowest. All join by a and b.
func newLab3(t *testing.T) *lab3 { return newLab3With(t, func(int, *member) {}) }

// newLab3With is newLab3 with nodes that change is made to first.
func newLab3With(t *testing.T, change func(int, *member)) *lab3 {
	lab.Require(t, "root")
	l := &lab3{T: t, net: lab.New(t)}
	for i := range l.nodes {
		m := &member{
			Node:   l.net.Node(string(rune('a'+i)), fmt.Sprintf("10.0.0.%d/24", i+1)),
			state:  filepath.Join(t.TempDir(), "gossip.json"),
			config: Config{Port: DefaultPort, Join: []string{"10.0.0.1", "10.0.0.2"}, Keys: []Key{testKey(1)}},
			base:   uint8(200 - 50*i),
		}
		change(i, m)
		l.nodes[i] = m
		l.start(m)
	}
	return l
}

func router(base uint8) vrrp.Router {
	return vrrp.Router{
		Key: vrrp.Key{Name: "web", Family: vrrp.IPv4}, VRID: 0x39, Gossip: 0x3039, Interface: "eth0",
		Addresses: []netip.Prefix{netip.MustParsePrefix(vip)}, Priority: vrrp.Priority{Base: base}, AdvertInterval: 100 * time.Millisecond,
	}
}

// loadAddress is an address of its own for each of many routers.
func loadAddress(i int) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(150 + i)}), 24)}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// start begins a life of a node.
func (l *lab3) start(m *member) {
	l.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{l.T}, nil)).With("node", m.Name())
	var err error
	if m.mesh, err = New(Options{Node: "node-" + m.Name(), State: m.state, Log: log}); err != nil {
		l.Fatal(err)
	}
	if err := m.mesh.Configure(m.config); err != nil {
		l.Fatal(err)
	}
	if err := m.Do(func() (err error) {
		m.engine, err = vrrp.Start(vrrp.Options{Log: log, Actuator: addresses{}, Carrier: m.mesh})
		return err
	}); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { l.stop(m, true) })
	m.routers = []vrrp.Router{router(m.base)}
	if err := m.engine.Set(m.routers); err != nil {
		l.Fatal(err)
	}
}

// stop ends a life, with or without a hand-over.
func (l *lab3) stop(m *member, now bool) {
	l.Helper()
	if m.engine == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if now {
		cancel()
	}
	if err := m.engine.Stop(ctx); err != nil {
		l.Error(err)
	}
	m.mesh.Close()
	m.engine = nil
}

func (m *member) status() vrrp.RouterStatus {
	for _, s := range m.engine.Status() {
		if s.Router.Name == "web" {
			return s
		}
	}
	return vrrp.RouterStatus{}
}

// owner waits until that node is master and the others that run are backups
// which hear it.
func (l *lab3) owner(want *member) {
	l.Helper()
	lab.Poll(l.T, patience, want.Name()+" is the only owner", func() bool {
		for _, m := range l.nodes {
			if m.engine == nil {
				continue
			}
			s := m.status()
			if m == want && s.State != vrrp.Master || m != want && (s.State != vrrp.Backup || s.Owner.Name != "node-"+want.Name()) {
				return false
			}
		}
		return strings.Contains(want.Run(l.T, "ip", "-o", "addr", "show", "dev", "eth0"), vip)
	})
}

// addresses is the least Actuator there can be.
type addresses struct{}

func (addresses) Add(iface string, addrs []netip.Prefix) error {
	return each(iface, addrs, netlink.AddrReplace)
}

func (addresses) Remove(iface string, addrs []netip.Prefix) error {
	err := each(iface, addrs, func(l netlink.Link, a *netlink.Addr) error {
		if err := netlink.AddrDel(l, a); !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
		return nil
	})
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	return err
}

func (addresses) Announce(string, []netip.Prefix) error { return nil }
func (addresses) Answer([]netip.Addr) error             { return nil }
func (addresses) Serve([]vrrp.Key) error                { return nil }

func each(iface string, addrs []netip.Prefix, do func(netlink.Link, *netlink.Addr) error) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range addrs {
		a, err := netlink.ParseAddr(p.String())
		if err == nil {
			err = do(link, a)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// TestLabGossipElection: the highest priority owns the address, the next one
// takes over when it stops, and all find each other by one node.
func TestLabGossipElection(t *testing.T) {
	l := newLab3(t)
	a, b, c := l.nodes[0], l.nodes[1], l.nodes[2]
	l.owner(a)
	if s := c.status(); !strings.Contains(s.Why, "node-a (10.0.0.1) advertises 200") {
		t.Errorf("c says %q", s.Why)
	}
	l.stop(a, false)
	l.owner(b)
	l.start(a)
	l.owner(a)
}

package vrrp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// advertInterval of the lab tests; patience is for anything that follows from
// a few adverts, on a busy machine.
const (
	advertInterval = 100 * time.Millisecond
	patience       = 10 * time.Second
)

// cell is one combination of the interop table.
type cell struct {
	family   vrrp.Family
	unicast  bool
	version  vrrp.Version
	checksum vrrp.Checksum
	auth     vrrp.AuthType
}

// password is that of cells with authentication. keepalived fills it up with
// zeros.
const password = "secret"

var cells = []cell{{family: vrrp.IPv4}, {family: vrrp.IPv4, unicast: true}, {family: vrrp.IPv6}, {family: vrrp.IPv6, unicast: true}}

func (c cell) String() string {
	text := fmt.Sprintf("%v %s", c.family, map[bool]string{false: "multicast", true: "unicast"}[c.unicast])
	if c.version == vrrp.VRRPv2 {
		text += " version 2"
	}
	if c.checksum == vrrp.MessageOnly {
		text += " message-only"
	}
	if c.auth != vrrp.AuthNone {
		text += " " + c.auth.String()
	}
	return text
}

// unusual says that tcpdump does not know what the checksum covers, whoever
// sends it: it sums the pseudo-header, and what follows the advert.
func (c cell) unusual() bool {
	return c.checksum == vrrp.MessageOnly || c.family == vrrp.IPv4 && c.auth == vrrp.AuthHMAC
}

// interval is the shortest that the version has, if that is longer than what
// the tests use otherwise.
func (c cell) interval() time.Duration {
	if c.version == vrrp.VRRPv2 {
		return time.Second
	}
	return advertInterval
}

func (c cell) vip() netip.Prefix {
	if c.family == vrrp.IPv4 {
		return netip.MustParsePrefix("10.0.0.100/24")
	}
	return netip.MustParsePrefix("fd00::100/64")
}

// node is the address of node a (1) or b (2) that unicast uses.
func (c cell) node(i int) netip.Addr {
	if c.family == vrrp.IPv4 {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
	}
	return netip.AddrFrom16([16]byte{0xfd, 15: byte(i)})
}

// router is ours, on node a.
func (c cell) router(priority uint8) vrrp.Router {
	r := vrrp.Router{
		Key: vrrp.Key{Name: "web", Family: c.family}, VRID: 51, Interface: "eth0",
		Addresses: []netip.Prefix{c.vip()}, Priority: vrrp.Priority{Base: priority}, AdvertInterval: c.interval(),
		Version: c.version, Checksum: c.checksum,
	}
	switch c.auth {
	case vrrp.AuthPassword, vrrp.AuthAH:
		r.Auth = vrrp.Auth{Type: c.auth, Keys: []vrrp.AuthKey{{Secret: vrrp.NewSecret([]byte(password))}}}
	case vrrp.AuthHMAC:
		r.Auth = hmacKeys(1)
	}
	if c.unicast {
		r.Unicast = []netip.Addr{c.node(2)}
		if c.family == vrrp.IPv6 {
			r.MinTTL = 64 // what keepalived 2.2.7 sends
		}
	}
	return r
}

// keepalivedConf is that of node b.
func (c cell) keepalivedConf(priority uint8, options string) string {
	if c.unicast {
		options += fmt.Sprintf("\n unicast_src_ip %v\n unicast_peer {\n  %v\n }", c.node(2), c.node(1))
	}
	if c.checksum == vrrp.MessageOnly {
		options += "\n v3_checksum_as_v2"
	}
	switch c.auth {
	case vrrp.AuthPassword:
		options += "\n authentication {\n  auth_type PASS\n  auth_pass " + password + "\n }"
	case vrrp.AuthAH:
		options += "\n authentication {\n  auth_type AH\n  auth_pass " + password + "\n }"
	}
	return fmt.Sprintf(`global_defs {
 router_id b
 vrrp_priority -20
}
vrrp_instance web {
 version %v
 interface eth0
 virtual_router_id 51
 priority %d
 advert_int %v
 %s
 virtual_ipaddress {
  %v
 }
}
`, c.version, priority, c.interval().Seconds(), options, c.vip())
}

// pair is the two nodes of a test: ours on a, keepalived on b.
type pair struct {
	*testing.T
	cell
	net  *lab.Net
	a, b *lab.Node
	log  *output // keepalived's
	wire *output // tcpdump's
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func newPair(t *testing.T, c cell) *pair {
	lab.Require(t, "root", "keepalived", "tcpdump")
	n := lab.New(t)
	p := &pair{T: t, cell: c, net: n, log: &output{}, wire: &output{}}
	p.a = n.Node("a", "10.0.0.1/24", "fd00::1/64")
	p.b = n.Node("b", "10.0.0.2/24", "fd00::2/64")
	dump := p.b.Command(t.Context(), "tcpdump", "-l", "-n", "-vv", "-x", "-i", "eth0", "ip proto 112 or ip6 proto 112 or ip proto 51")
	dump.Stdout, dump.Stderr = p.wire, p.wire
	if err := p.b.Start(dump); err != nil {
		t.Fatal(err)
	}
	lab.Poll(t, patience, "tcpdump listens", func() bool { return strings.Contains(p.wire.String(), "listening") })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("keepalived:\n%s", p.log)
			t.Logf("tcpdump:\n%s", p.wire)
		}
	})
	return p
}

// ours starts our engine on node a.
func (p *pair) ours(routers ...vrrp.Router) *vrrp.Engine {
	p.Helper()
	e := startEngine(p.T, p.a)
	if err := e.Set(routers); err != nil {
		p.Fatal(err)
	}
	return e
}

// startEngine starts an engine in a node's namespace. It is stopped with the
// test at the latest.
func startEngine(t *testing.T, nd *lab.Node) *vrrp.Engine {
	t.Helper()
	var e *vrrp.Engine
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	err := nd.Do(func() (err error) {
		e, err = vrrp.Start(vrrp.Options{Log: log, Actuator: kernelAddresses{}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // without hand-over
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// keepalived starts it on node b and waits until it has read its
// configuration. The command has a process group of its own.
func (p *pair) keepalived(priority uint8, options string) *exec.Cmd {
	p.Helper()
	dir := p.TempDir()
	conf := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(conf, []byte(p.keepalivedConf(priority, options)), 0o600); err != nil {
		p.Fatal(err)
	}
	cmd := p.b.Command(context.Background(), "keepalived", "-n", "-l", "-D", "-P", "-f", conf,
		"-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp.pid"))
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := p.b.Start(cmd); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { p.end(cmd, syscall.SIGKILL) })
	lab.Poll(p, patience, "keepalived is backup", func() bool { return strings.Contains(p.log.String(), "Entering BACKUP STATE") })
	return cmd
}

// end ends keepalived with all its processes.
func (p *pair) end(cmd *exec.Cmd, s syscall.Signal) {
	if cmd.ProcessState != nil {
		return
	}
	pid := cmd.Process.Pid
	if s == syscall.SIGKILL {
		pid = -pid
	}
	_ = syscall.Kill(pid, s)
	_ = cmd.Wait()
}

// has says whether ip(8) shows the virtual address on a node.
func (p *pair) has(nd *lab.Node) bool {
	p.Helper()
	return strings.Contains(nd.Run(p, "ip", "-o", "addr", "show", "dev", "eth0"), p.vip().String())
}

// owner waits until exactly one node has the address.
func (p *pair) owner(nd *lab.Node) {
	p.Helper()
	lab.Poll(p, patience, "only "+nd.Name()+" has "+p.vip().String(), func() bool {
		return p.has(nd) && (p.has(p.a) != p.has(p.b))
	})
}

// status of our one router.
func status(t *testing.T, e *vrrp.Engine) vrrp.RouterStatus {
	t.Helper()
	list := e.Status()
	if len(list) != 1 {
		t.Fatalf("want one router, got %+v", list)
	}
	return list[0]
}

func (p *pair) expect(e *vrrp.Engine, state vrrp.State, cause vrrp.Cause) vrrp.RouterStatus {
	p.Helper()
	lab.Poll(p, patience, fmt.Sprintf("ours is %v", state), func() bool { return status(p.T, e).State == state })
	s := status(p.T, e)
	if s.Cause != cause || s.Problem != "" {
		p.Fatalf("want cause %v and no problem, got %v, %q (%s)", cause, s.Cause, s.Problem, s.Why)
	}
	return s
}

// several is how many adverts to watch: 10, or what comes within patience.
func (c cell) several() uint64 {
	if c.interval() > advertInterval {
		return 4
	}
	return 10
}

// staysBackup watches our backup hear several adverts.
func (p *pair) staysBackup(e *vrrp.Engine) {
	p.Helper()
	until := status(p.T, e).Counters.Received + p.several()
	lab.Poll(p, patience, "several adverts heard", func() bool {
		s := status(p.T, e)
		if s.State != vrrp.Backup {
			p.Fatalf("took over: %s", s.Why)
		}
		return s.Counters.Received >= until
	})
}

// staysMaster watches our master send several adverts.
func (p *pair) staysMaster(e *vrrp.Engine) {
	p.Helper()
	until := status(p.T, e).Counters.Sent + p.several()
	lab.Poll(p, patience, "several adverts sent", func() bool {
		s := status(p.T, e)
		if s.State != vrrp.Master {
			p.Fatalf("lost it: %s", s.Why)
		}
		return s.Counters.Sent >= until
	})
}

// faults are words by which tcpdump and keepalived would object to our adverts.
var faults = regexp.MustCompile(`(?i)\bbad\b|invalid|malformed|truncated|checksum|incorrect|mismatch|bogus|discard.*length|\[\|`)

// clean checks that neither side has found fault with the other's adverts.
func (p *pair) clean(e *vrrp.Engine) {
	p.Helper()
	lab.Poll(p, patience, "tcpdump shows an advert of ours", func() bool { // it prints what it sees a little later
		return strings.Contains(p.wire.String(), fmt.Sprintf("VRRPv%v, Advertisement, vrid 51", p.version))
	})
	if d := status(p.T, e).Counters.Dropped; len(d) > 0 {
		p.Errorf("we have dropped adverts: %v", d)
	}
	for name, o := range map[string]*output{"tcpdump": p.wire, "keepalived": p.log} {
		for line := range strings.Lines(o.String()) {
			if p.unusual() && strings.Contains(line, "bad vrrp cksum") {
				continue
			}
			if faults.MatchString(line) {
				p.Errorf("%s: %s", name, line)
			}
		}
	}
	for line := range strings.Lines(p.wire.String()) {
		// tcpdump remarks on any TTL but 255.
		if strings.Contains(line, "(ttl ") && !strings.Contains(line, " "+p.node(2).String()+" > ") {
			p.Errorf("our TTL: %s", line)
		}
	}
}

func (p *pair) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// kernelAddresses is the least Actuator there can be, for the namespace of the
// calling thread. It announces with a packet from the address, which teaches
// the bridge; ARP caches are not tested here.
type kernelAddresses struct{}

func (kernelAddresses) Add(iface string, addrs []netip.Prefix) error {
	return each(iface, addrs, netlink.AddrReplace)
}

func (kernelAddresses) Remove(iface string, addrs []netip.Prefix) error {
	err := each(iface, addrs, func(l netlink.Link, a *netlink.Addr) error {
		if err := netlink.AddrDel(l, a); !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
		return nil
	})
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil // and neither is the address
	}
	return err
}

func (kernelAddresses) Announce(string, []netip.Prefix) error { return nil }
func (kernelAddresses) Answer([]netip.Addr) error             { return nil }
func (kernelAddresses) Serve([]vrrp.Key) error                { return nil }

func each(iface string, addrs []netip.Prefix, do func(netlink.Link, *netlink.Addr) error) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range addrs {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		errs = append(errs, do(link, a))
	}
	return errors.Join(errs...)
}

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"harmony/bench/probe"
)

const (
	// udpPace is modest, for the virtual machine emulates its processors;
	// make bench probes every millisecond.
	udpPace = 2 * time.Millisecond
	// probeTimeout and lossTimeout are after how long a UDP probe and a
	// request count as lost.
	probeTimeout = time.Second
	lossTimeout  = 3 * time.Second
	clients      = 2 // that ask HTTPS, and as many TCP, side by side
)

// introduce shows who owns the addresses and why, in the agents' own words.
func (d *demo) introduce(ctx context.Context) error {
	d.out.title("Who owns the addresses, and why (harmony status)")
	for _, e := range d.edges {
		s, err := d.status(ctx, e)
		if err != nil {
			return err
		}
		for _, r := range s.Election.Routers {
			d.out.print("  %-7s %-10s %s\n", e.name, r.Router.Family, r.Why)
		}
	}
	owner := d.owner()
	if !d.out.check(owner != nil && owner.name == "edge-1", "edge-1, the highest priority, owns %s and %s", vip4, vip6) {
		return nil
	}
	out, err := exec.CommandContext(ctx, d.harmony, "status", "--run-dir", owner.runDir).Output()
	if err != nil {
		return fmt.Errorf("harmony status: %w", err)
	}
	d.out.print("\n%s", indent(string(out)))
	return nil
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n"
}

// showRequests sends a few requests to each service and shows who answered.
func (d *demo) showRequests(ctx context.Context) error {
	d.out.title("Requests through the addresses")
	for _, c := range []struct {
		what string
		spec probe.Spec
		want string // the backends whose names begin so, and all of them
	}{
		{"https://" + host + "/tea     via " + vip4.String(), httpsSpec(vip4, "/tea"), "tea"},
		{"https://" + host + "/coffee  via " + vip6.String(), httpsSpec(vip6, "/coffee"), "coffee"},
		{fmt.Sprintf("tcp %s:%d (IPVS)", vip4, tcpPort), tcpSpec(), ""},
	} {
		w, err := d.sample(ctx, c.spec)
		if err != nil {
			return err
		}
		var by []string
		for name, n := range w.By {
			by = append(by, fmt.Sprintf("%s %d", name, n))
		}
		slices.Sort(by)
		var all, seen []string
		for name := range d.backends {
			if strings.HasPrefix(name, c.want) {
				all = append(all, name)
			}
		}
		for name := range w.By {
			seen = append(seen, name)
		}
		slices.Sort(all)
		slices.Sort(seen)
		d.out.check(w.Lost == 0 && slices.Equal(all, seen), "%s: %d requests, %d lost; %s", c.what, w.Sent, w.Lost, strings.Join(by, ", "))
	}
	return nil
}

// sample runs a probe until it has asked often enough to see every backend.
func (d *demo) sample(ctx context.Context, spec probe.Spec) (probe.Window, error) {
	spec.Interval /= 4
	from := time.Now()
	load, err := probe.Start(ctx, d.client, spec)
	if err != nil {
		return probe.Window{}, err
	}
	defer load.Stop()
	var w probe.Window
	err = d.poll(ctx, 15*time.Second, func() bool {
		w = load.Window(spec.Role, from, time.Now())
		return w.Sent >= 36
	})
	return w, err
}

func httpsSpec(vip netip.Addr, path string) probe.Spec {
	return probe.Spec{Role: "http", Target: netip.AddrPortFrom(vip, 443).String(), URL: "https://" + host + path,
		Interval: 200 * time.Millisecond, Timeout: lossTimeout, Clients: clients}
}

func tcpSpec() probe.Spec {
	return probe.Spec{Role: "tcp", Target: netip.AddrPortFrom(vip4, tcpPort).String(),
		Interval: 100 * time.Millisecond, Timeout: lossTimeout, Clients: clients}
}

// startLoad starts what runs beside every event from now on.
func (d *demo) startLoad(ctx context.Context) error {
	d.out.title("Now break it, under load")
	d.out.print("Load: a UDP probe every %s to each address; %d clients each for HTTPS and TCP,\n"+
		"a new connection for each request. One without an answer in %s is lost.\n", udpPace, clients, lossTimeout)
	d.loads = map[string]*probe.Load{}
	for name, spec := range map[string]probe.Spec{
		"udp4":  {Role: "udp", Target: netip.AddrPortFrom(vip4, echoPort).String(), Interval: udpPace, Timeout: probeTimeout},
		"udp6":  {Role: "udp", Target: netip.AddrPortFrom(vip6, echoPort).String(), Interval: udpPace, Timeout: probeTimeout},
		"https": httpsSpec(vip4, "/tea"),
		"tcp":   tcpSpec(),
	} {
		load, err := probe.Start(ctx, d.client, spec)
		if err != nil {
			return err
		}
		d.loads[name] = load
	}
	return pause(ctx, time.Second)
}

// event does something under load, waits until the edge is whole enough, and
// measures from just before until well after.
func (d *demo) event(ctx context.Context, name string, do func() error, whole func() bool) (*row, error) {
	d.out.print("\n\x1b[1m%s\x1b[0m\n", name)
	from := time.Now()
	if err := pause(ctx, 300*time.Millisecond); err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := d.poll(ctx, 10*time.Second, whole); err != nil {
		return nil, fmt.Errorf("%s: not whole again: %w", name, err)
	}
	if err := pause(ctx, time.Second); err != nil {
		return nil, err
	}
	to := time.Now()
	if err := d.fates(ctx, to); err != nil {
		return nil, err
	}
	r := row{event: name, held: true, owner: "-", windows: map[string]probe.Window{}}
	if o := d.owner(); o != nil {
		r.owner = o.name
	}
	for load, l := range d.loads {
		r.windows[load] = l.Window(map[string]string{"udp4": "udp", "udp6": "udp", "https": "http", "tcp": "tcp"}[load], from, to)
	}
	d.out.rows = append(d.out.rows, r)
	return &d.out.rows[len(d.out.rows)-1], nil
}

// fates waits until the fate of all that was sent before t is known.
func (d *demo) fates(ctx context.Context, t time.Time) error {
	if err := pause(ctx, time.Until(t.Add(probeTimeout+300*time.Millisecond))); err != nil {
		return err
	}
	return d.poll(ctx, 2*lossTimeout, func() bool { return d.loads["https"].Settled(t) && d.loads["tcp"].Settled(t) })
}

// expect checks the darkness of both addresses and what it has cost.
func (d *demo) expect(r *row, owner string, dark time.Duration) {
	u4, u6 := r.windows["udp4"], r.windows["udp6"]
	held := d.out.check(r.owner == owner, "the owner is %s", owner)
	if dark == 0 {
		held = d.out.check(u4.Lost+u6.Lost == 0, "no UDP probe of %d lost", u4.Sent+u6.Sent) && held
	} else {
		held = d.out.check(max(u4.Dark, u6.Dark) <= dark, "dark for %s (IPv4) and %s (IPv6), at most %s", round(u4.Dark), round(u6.Dark), round(dark)) && held
	}
	r.held = held
}

// expectRequests checks requests that may be lost: those under way.
func (d *demo) expectRequests(r *row, name string, allowed int) {
	w := r.windows[name]
	r.held = d.out.check(w.Lost <= allowed, "%s: %d of %d requests lost, at most %d %v", name, w.Lost, w.Sent, allowed, w.Errs) && r.held
}

// takeover is the protocol's own time to notice a silent owner: three adverts
// and the skew of the next in line (RFC 9568 §6.1), plus slack.
func (d *demo) takeover() time.Duration {
	const advert, priority = 100 * time.Millisecond, 150
	return 3*advert + (256-priority)*advert/256 + d.slack
}

func (d *demo) plannedHandOver(ctx context.Context) error {
	owner := d.edges[0]
	r, err := d.event(ctx, "Planned hand-over: harmony failover edge", func() error {
		return d.command(ctx, "failover", router, "--run-dir", owner.runDir)
	}, func() bool { return d.owner() == d.edges[1] })
	if err != nil {
		return err
	}
	d.expect(r, "edge-2", 0)
	d.expectRequests(r, "https", clients) // those under way: TCP state is the old owner's
	d.expectRequests(r, "tcp", clients)
	r, err = d.event(ctx, "Taken back: harmony failover edge --undo", func() error {
		return d.command(ctx, "failover", router, "--undo", "--run-dir", owner.runDir)
	}, func() bool { return d.owner() == owner })
	if err != nil {
		return err
	}
	d.expect(r, "edge-1", 0)
	d.expectRequests(r, "https", clients)
	return nil
}

// command runs harmony and shows what it says.
func (d *demo) command(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, d.harmony, args...).CombinedOutput()
	d.out.print("%s", indent(string(out)))
	return err
}

func (d *demo) killWorker(ctx context.Context) error {
	owner := d.edges[0]
	s, err := d.status(ctx, owner)
	if err != nil {
		return err
	}
	was := s.Worker.PID
	r, err := d.event(ctx, "SIGKILL of the owner's worker", func() error { return d.kill(ctx, was) }, func() bool {
		s, err := d.status(ctx, owner)
		return err == nil && s.Worker.PID != was && s.Worker.Ready
	})
	if err != nil {
		return err
	}
	d.expect(r, "edge-1", 0)
	d.expectRequests(r, "https", 0)
	d.expectRequests(r, "tcp", 0)
	return nil
}

func (d *demo) killElector(ctx context.Context) error {
	return d.killAndReturn(ctx, "SIGKILL of the owner's elector", func(elector, _ int) []int { return []int{elector} })
}

func (d *demo) killAgent(ctx context.Context) error {
	return d.killAndReturn(ctx, "SIGKILL of the owner's whole agent", func(elector, worker int) []int { return []int{elector, worker} })
}

// killAndReturn kills processes of the owner, then starts its agent again.
func (d *demo) killAndReturn(ctx context.Context, name string, which func(elector, worker int) []int) error {
	owner := d.edges[0]
	s, err := d.status(ctx, owner)
	if err != nil {
		return err
	}
	r, err := d.event(ctx, name, func() error { return d.kill(ctx, which(s.Election.PID, s.Worker.PID)...) },
		func() bool {
			return slices.Contains(d.holders(vip4), "edge-2") && slices.Contains(d.holders(vip6), "edge-2")
		})
	if err != nil {
		return err
	}
	if r.owner == "-" { // the dead node could not remove its addresses; they must be silent
		r.owner = "edge-2"
		r.held = d.out.check(d.silent(ctx, owner), "edge-1 still has the addresses but does not answer for them: the kernel fences") && r.held
	}
	held := r.held
	d.expect(r, "edge-2", d.takeover())
	r.held = r.held && held
	return d.comesBack(ctx, func() error { return d.startAgent(ctx, owner) })
}

// silent asks by ARP, from the client, who has the address: the dead owner
// must not be among those who answer.
func (d *demo) silent(ctx context.Context, dead *edge) bool {
	var mac string
	if err := dead.node.Do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err == nil {
			mac = eth0.Attrs().HardwareAddr.String()
		}
		return err
	}); err != nil {
		return false
	}
	out, _ := d.client.Output(ctx, "arping", "-c", "3", "-w", "3", "-I", "eth0", vip4.String()) // it fails where answers are few
	return strings.Contains(out, "reply from") && !strings.Contains(strings.ToLower(out), mac)
}

// comesBack lets edge-1 return and take over by its higher priority, which
// must cost nothing, and leave no address on two nodes.
func (d *demo) comesBack(ctx context.Context, do func() error) error {
	r, err := d.event(ctx, "  … and its return", do, func() bool { return d.unsettled(ctx) == "" && d.owner() == d.edges[0] })
	if err != nil {
		return err
	}
	d.expect(r, "edge-1", 0)
	d.expectRequests(r, "https", clients)
	d.expectRequests(r, "tcp", clients)
	r.held = d.out.check(len(d.holders(vip4)) == 1 && len(d.holders(vip6)) == 1, "no address is on two nodes") && r.held
	return nil
}

func (d *demo) cutLink(ctx context.Context) error {
	owner := d.edges[0]
	r, err := d.event(ctx, "Cut of the owner's link", owner.node.Cut, func() bool { return d.owner() == d.edges[1] })
	if err != nil {
		return err
	}
	d.expect(r, "edge-2", d.takeover())
	return d.comesBack(ctx, owner.node.Heal)
}

// backendDies stops a backend and starts it again: NGINX goes round it at
// once, IPVS as soon as its check has failed.
func (d *demo) backendDies(ctx context.Context) error {
	b := d.backends["tea-2"]
	r, err := d.event(ctx, "A backend dies: tea-2", func() error { return d.kill(ctx, b.proc.Process.Pid) },
		func() bool { return d.inTable(ctx, "tea-2") == 0 })
	if err != nil {
		return err
	}
	d.expect(r, "edge-1", 0)
	d.expectRequests(r, "https", 0)
	w, err := d.sample(ctx, tcpSpec())
	if err != nil {
		return err
	}
	r.held = d.out.check(w.Lost == 0 && w.By["tea-2"] == 0, "out of IPVS after its check failed: %d more TCP requests, %d lost %v", w.Sent, w.Lost, w.Errs) && r.held
	r, err = d.event(ctx, "  … and comes back", func() (err error) {
		b.proc, err = probe.Serve(ctx, b.node, b.spec)
		return err
	}, func() bool { return d.inTable(ctx, "tea-2") == len(d.edges) })
	if err != nil {
		return err
	}
	d.expect(r, "edge-1", 0)
	from := time.Now()
	w, err = d.sample(ctx, tcpSpec())
	if err != nil {
		return err
	}
	// The load shares the round robin with the sample, and may be the one that
	// meets tea-2 each time.
	share := w.By["tea-2"] + d.loads["tcp"].Window("tcp", from, time.Now()).By["tea-2"]
	r.held = d.out.check(w.Lost == 0 && share > 0, "tea-2 takes its share again: %d TCP requests; of %d more, %d lost", share, w.Sent, w.Lost) && r.held
	return nil
}

// inTable counts the edges that have a backend in IPVS.
func (d *demo) inTable(ctx context.Context, name string) (n int) {
	for _, e := range d.edges {
		s, err := d.status(ctx, e)
		if err != nil {
			return -1
		}
		for _, svc := range s.Worker.Services {
			for _, rs := range svc.RealServers {
				if rs.InTable && netip.AddrPortFrom(rs.Address, rs.Port).String() == d.backends[name].spec.TCP {
					n++
				}
			}
		}
	}
	return n
}

// keep leaves everything up with a shell inside, until that ends.
func (d *demo) keep(ctx context.Context) {
	d.out.title("Kept up (KEEP=1)")
	rc := filepath.Join(d.scratch, "rc")
	text := fmt.Sprintf("PS1='harmony demo> '\nPATH=%s:$PATH\nS=%s\n"+
		"on() { ip netns exec \"$@\"; }\nst() { harmony status --run-dir $S/$1 \"${@:2}\"; }\n",
		filepath.Dir(d.harmony), d.scratch)
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		d.out.failure(err)
		return
	}
	d.out.print(`  st edge-1                      its status (st edge-1 -o json)
  on client curl -k --resolve %s:443:%s https://%s/tea
  on edge-1 ipvsadm -Ln          any command on any node: %s
  harmony failover %s --run-dir $S/edge-1
  ls $S                          logs and run directories; $S/cafe is what the agents serve: edit it
  exit                           ends it all
`, host, vip4, host, "client, edge-1..3, tea-1..3, coffee-1..3", router)
	sh := exec.CommandContext(ctx, "bash", "--rcfile", rc, "-i")
	sh.Stdin, sh.Stdout, sh.Stderr = os.Stdin, os.Stdout, os.Stderr
	sh.Cancel = func() error { return sh.Process.Signal(syscall.SIGHUP) }
	_ = sh.Run() // whatever the last command in it returned
}

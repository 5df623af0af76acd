package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

const (
	ownerPriority  = 200
	backupPriority = 150
	vrid           = 51
	echoPort       = 9
)

var vip = netip.MustParseAddr("10.91.0.100")

// peer is an implementation of VRRP that can be started on a node.
type peer interface {
	name() string
	// command runs it in the foreground as node A or B, its files in folder.
	command(nd *lab.Node, folder, node string, priority int) (*exec.Cmd, error)
}

// pair is two nodes of one peer and a client on a switch of their own.
type pair struct {
	peer   peer
	advert time.Duration
	folder string
	sw     *lab.Switch
	a, b   *lab.Node
	procA  *exec.Cmd
	procB  *exec.Cmd
	endA   chan struct{} // closed when procA has ended
	load   *probe.Load
}

func newPair(ctx context.Context, p peer, advert time.Duration) (_ *pair, err error) {
	pr := &pair{peer: p, advert: advert}
	if pr.folder, err = os.MkdirTemp(lab.Scratch, p.name()); err != nil {
		return nil, err
	}
	if pr.sw, err = lab.Open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pr.sw.Close())
		}
	}()
	client, err := pr.sw.Attach(ctx, p.name()[:1]+"-client", "10.91.0.9/24")
	if err != nil {
		return nil, err
	}
	if pr.a, err = pr.sw.Attach(ctx, p.name()[:1]+"-A", "10.91.0.1/24"); err != nil {
		return nil, err
	}
	if pr.b, err = pr.sw.Attach(ctx, p.name()[:1]+"-B", "10.91.0.2/24"); err != nil {
		return nil, err
	}
	target := netip.AddrPortFrom(vip, echoPort).String()
	for _, nd := range []*lab.Node{pr.a, pr.b} {
		if _, err := probe.Serve(ctx, nd, probe.Spec{Role: "echo", Name: nd.Name(), Target: target}); err != nil {
			return nil, err
		}
	}
	if err := pr.startA(ctx); err != nil {
		return nil, err
	}
	if pr.procB, err = pr.start(ctx, pr.b, "B", backupPriority); err != nil {
		return nil, err
	}
	go func() { _ = pr.procB.Wait() }() // ends with the switch
	pr.load, err = probe.Start(ctx, client, probe.Spec{Role: "udp", Target: target, Interval: time.Millisecond, Timeout: time.Second})
	return pr, err
}

func (p *pair) close() {
	p.load.Stop()
	if err := p.sw.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
	}
}

func (p *pair) startA(ctx context.Context) (err error) {
	if p.procA, err = p.start(ctx, p.a, "A", ownerPriority); err != nil {
		return err
	}
	cmd, end := p.procA, make(chan struct{})
	p.endA = end
	go func() {
		defer close(end)
		_ = cmd.Wait() // it is stopped or killed
	}()
	return nil
}

func (p *pair) start(_ context.Context, nd *lab.Node, name string, priority int) (*exec.Cmd, error) {
	folder := filepath.Join(p.folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	cmd, err := p.peer.command(nd, folder, name, priority)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nd.Start(cmd)
}

// measure lets one event happen to the owner and returns what the client saw.
func (p *pair) measure(ctx context.Context, event string) (sample, error) {
	if err := p.until(ctx, "A owns the address alone", func() bool { return holds(p.a) && !holds(p.b) }); err != nil {
		return sample{}, err
	}
	if err := pause(ctx, 500*time.Millisecond+phase(p.advert)); err != nil {
		return sample{}, err
	}
	from := time.Now()
	if err := p.strike(event); err != nil {
		return sample{}, err
	}
	if err := p.until(ctx, "B has taken over", func() bool { return holds(p.b) }); err != nil {
		return sample{}, err
	}
	if err := pause(ctx, 700*time.Millisecond); err != nil {
		return sample{}, err
	}
	to := time.Now()
	if err := p.restore(ctx, event); err != nil {
		return sample{}, err
	}
	if err := pause(ctx, time.Until(to.Add(1300*time.Millisecond))); err != nil { // the lost are known
		return sample{}, err
	}
	w := p.load.Window("udp", from, to)
	return sample{Peer: p.peer.name(), Event: event, Advert: p.advert, Sent: w.Sent, Lost: w.Lost, Dark: w.Dark}, nil
}

func (p *pair) strike(event string) error {
	switch event {
	case "stop":
		return p.procA.Process.Signal(syscall.SIGTERM)
	case "cut":
		return p.a.Cut()
	case "kill":
		return p.killA()
	}
	return fmt.Errorf("unknown event %q", event)
}

// killA kills the process and its children at the same moment: they are the
// process group that the lab has made, and those that left it.
func (p *pair) killA() error {
	pid := p.procA.Process.Pid
	for _, child := range children(pid) {
		if err := syscall.Kill(child, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// children are the processes that any thread of pid has started.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, n)
		}
	}
	return pids
}

func (p *pair) restore(ctx context.Context, event string) error {
	if event == "cut" {
		return p.a.Heal()
	}
	select {
	case <-p.endA:
	case <-time.After(30 * time.Second):
		return errors.New("the stopped node does not end")
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.startA(ctx)
}

func (p *pair) until(ctx context.Context, what string, ok func() bool) error {
	deadline := time.Now().Add(30*time.Second + 20*p.advert)
	for !ok() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not in time: %s (A holds it: %v, B holds it: %v)", what, holds(p.a), holds(p.b))
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// holds asks the kernel of a node whether it has the address.
func holds(nd *lab.Node) (has bool) {
	_ = nd.Do(func() error { // an unreadable node holds nothing
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
		for _, a := range addrs {
			ip, _ := netip.AddrFromSlice(a.IP)
			has = has || ip.Unmap() == vip
		}
		return err
	})
	return has
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

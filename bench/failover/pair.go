package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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

	// askEvery is the observer's pace; a node that has not answered askGap
	// after its last answer is silent.
	askEvery = 2 * time.Millisecond
	askGap   = 8 * time.Millisecond

	probeEvery   = time.Millisecond
	probeTimeout = 500 * time.Millisecond
	// settle is how long an event is watched after it has had its effect.
	settle = 700 * time.Millisecond
)

var (
	vip4 = netip.MustParseAddr("10.91.0.100")
	vip6 = netip.MustParseAddr("fd91::100")
)

// pair is two nodes, a client and an observer on a switch of their own.
type pair struct {
	name   string
	onA    peer
	onB    peer
	advert time.Duration
	folder string
	sw     *lab.Switch
	a, b   *lab.Node
	client *lab.Node
	watch  *lab.Node
	procA  *exec.Cmd
	procB  *exec.Cmd
	endA   chan struct{} // closed when procA has ended
	groups []string      // control groups to remove
}

func newPair(ctx context.Context, name string, onA, onB peer, advert time.Duration) (_ *pair, err error) {
	pr := &pair{name: name, onA: onA, onB: onB, advert: advert}
	if pr.folder, err = os.MkdirTemp(lab.Scratch, name); err != nil {
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
	prefix := name[:1] + advert.String()
	for i, at := range []struct {
		node **lab.Node
		name string
	}{{&pr.client, "client"}, {&pr.watch, "watch"}, {&pr.a, "A"}, {&pr.b, "B"}} {
		n := []int{9, 8, 1, 2}[i]
		if *at.node, err = pr.sw.Attach(ctx, prefix+at.name, fmt.Sprintf("10.91.0.%d/24", n), fmt.Sprintf("fd91::%d/64", n)); err != nil {
			return nil, err
		}
	}
	for _, nd := range []*lab.Node{pr.a, pr.b} {
		for _, vip := range []netip.Addr{vip4, vip6} {
			spec := probe.Spec{Role: "echo", Name: nd.Name(), Target: netip.AddrPortFrom(vip, echoPort).String()}
			if _, err := probe.Serve(ctx, nd, spec); err != nil {
				return nil, err
			}
		}
	}
	if err := pr.startA(); err != nil {
		return nil, err
	}
	if pr.procB, err = pr.start(pr.b, pr.onB, "B", backupPriority); err != nil {
		return nil, err
	}
	go func() { _ = pr.procB.Wait() }() // ends with the switch
	return pr, nil
}

func (p *pair) close() {
	for _, g := range p.groups {
		_ = os.Remove(g) // an empty one that stays harms nobody
	}
	if err := p.sw.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
	}
}

func (p *pair) startA() (err error) {
	if p.procA, err = p.start(p.a, p.onA, "A", ownerPriority); err != nil {
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

func (p *pair) start(nd *lab.Node, with peer, name string, priority int) (*exec.Cmd, error) {
	folder := filepath.Join(p.folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	cmd, err := with.command(nd, folder, name, priority)
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

// measure lets one event happen to the owner, and then makes the owner whole
// again, so that it returns; it returns what was seen of both.
func (p *pair) measure(ctx context.Context, event string) ([]sample, error) {
	if err := p.until(ctx, "A owns the addresses alone", p.aOwns); err != nil {
		return nil, err
	}
	eyes, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer eyes.close()
	if err := pause(ctx, settle+phase(p.advert)); err != nil {
		return nil, err
	}
	from := time.Now()
	if err := p.strike(event); err != nil {
		return nil, err
	}
	if err := p.until(ctx, "B has taken over", p.tookOver(event, from)); err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	back := time.Now()
	if err := p.restore(ctx, event); err != nil {
		return nil, err
	}
	if err := p.until(ctx, "A has returned", p.aOwns); err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	to := time.Now()
	if err := pause(ctx, probeTimeout+100*time.Millisecond); err != nil { // the lost are known
		return nil, err
	}
	return []sample{eyes.sample(p, event, from, back), eyes.sample(p, "return after "+event, back, to)}, nil
}

func (p *pair) aOwns() bool { return holds(p.a) && !holds(p.b) }

// tookOver says whether an event has had its effect. A process that is killed
// alone may be replaced before anybody takes over.
func (p *pair) tookOver(event string, at time.Time) func() bool {
	return func() bool {
		return holds(p.b) || event == "kill-one" && time.Since(at) > 2*time.Second+5*p.advert
	}
}

func (p *pair) strike(event string) error {
	switch event {
	case "stop":
		return p.procA.Process.Signal(syscall.SIGTERM)
	case "cut":
		return p.a.Cut()
	case "kill-one":
		return p.killOne()
	case "kill-all":
		return p.killAll()
	case "kill-cgroup":
		return p.killCgroup()
	}
	return fmt.Errorf("unknown event %q", event)
}

func (p *pair) restore(ctx context.Context, event string) error {
	switch event {
	case "cut":
		return p.a.Heal()
	case "kill-one":
		if err := p.killAll(); err != nil { // what is left of it, or has come again
			return err
		}
	}
	select {
	case <-p.endA:
	case <-time.After(30 * time.Second):
		return errors.New("the stopped node does not end")
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.startA()
}

func (p *pair) until(ctx context.Context, what string, ok func() bool) error {
	deadline := time.Now().Add(30*time.Second + 20*p.advert)
	for !ok() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not in time: %s (A holds them: %v, B holds them: %v)", what, holds(p.a), holds(p.b))
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// holds asks the kernel of a node whether it has both addresses; a node that
// has one of them holds neither.
func holds(nd *lab.Node) bool {
	found := 0
	_ = nd.Do(func() error { // an unreadable node holds nothing
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range addrs {
			ip, _ := netip.AddrFromSlice(a.IP)
			if ip = ip.Unmap(); ip == vip4 || ip == vip6 {
				found++
			}
		}
		return err
	})
	return found == 2
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

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"harmony/bench/lab"
	"harmony/bench/probe"
)

const (
	askEvery = 5 * time.Millisecond
	askGap   = 40 * time.Millisecond // a busy machine lets the observer wait, too
	// holding is for how long at least a state must last to be believed.
	holding  = 400 * time.Millisecond
	patience = 30 * time.Second
)

// stage is the network of one cell.
type stage struct {
	cell
	folder string
	sw     *lab.Switch
	nodes  map[string]*lab.Node
	watch  *lab.Node
	cast   map[string]speaker
	wire   output // tcpdump's
	eyes   map[netip.Addr]*probe.Load
}

// open makes the network, with tcpdump on the peer's node, which hears unicast
// too. index makes names unique among all stages.
func (o options) open(ctx context.Context, c cell, index int) (_ *stage, err error) {
	s := &stage{cell: c, nodes: map[string]*lab.Node{}, cast: map[string]speaker{}, eyes: map[netip.Addr]*probe.Load{}}
	if s.folder, err = os.MkdirTemp(lab.Scratch, "i"); err != nil {
		return nil, err
	}
	if s.sw, err = lab.Open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	attach := func(name string, i int) (*lab.Node, error) {
		return s.sw.Attach(ctx, fmt.Sprintf("%d-%s", index, name), fmt.Sprintf("%v/24", c.node(i, 4)), fmt.Sprintf("%v/64", c.node(i, 6)))
	}
	for i, name := range []string{ours, theirs} {
		if s.nodes[name], err = attach(name, i+1); err != nil {
			return nil, err
		}
	}
	if s.watch, err = attach("watch", 3); err != nil {
		return nil, err
	}
	_, err = launch(s.nodes[theirs], &s.wire, "tcpdump", "-l", "--immediate-mode", "-n", "-e", "-vv", "-i", "eth0", o.filter)
	if err != nil {
		return nil, err
	}
	return s, poll(ctx, patience, "tcpdump listens", func() bool { return strings.Contains(s.wire.String(), "listening") })
}

func (s *stage) close() error {
	for _, e := range s.eyes {
		e.Stop()
	}
	return errors.Join(s.sw.Close(), os.RemoveAll(s.folder))
}

// play puts a speaker on the stage.
func (o options) play(s *stage, who string, priority int, nopreempt bool) error {
	set := setup{cell: s.cell, node: s.nodes[who], folder: filepath.Join(s.folder, who), priority: priority, nopreempt: nopreempt}
	if err := os.MkdirAll(set.folder, 0o755); err != nil {
		return err
	}
	switch {
	case who == ours:
		s.cast[who] = &harmony{setup: set, binary: o.harmony}
	case strings.HasPrefix(s.Peer, "FRR"):
		s.cast[who] = &frr{setup: set, root: filepath.Join(o.peers, "frr")}
	case s.Peer == o.hostKeepalived:
		s.cast[who] = &keepalived{setup: set}
	default:
		s.cast[who] = &keepalived{setup: set, root: filepath.Join(o.peers, "keepalived")}
	}
	return nil
}

// look starts the observers, one for each address.
func (s *stage) look(ctx context.Context) (err error) {
	for _, vip := range s.addresses() {
		spec := probe.Spec{Role: "observe", Target: vip.Addr().String(), Interval: askEvery}
		if s.eyes[vip.Addr()], err = probe.Start(ctx, s.watch, spec); err != nil {
			return err
		}
	}
	return nil
}

// answering says whether one speaker, and nobody else, has lately answered for
// every address.
func (s *stage) answering(who string) bool {
	to := time.Now()
	for vip, e := range s.eyes {
		o := probe.Owners(e.Results(), to.Add(-6*askGap), to.Add(-askGap), askGap)
		if len(o.By) != 1 || s.named(o.By, who) == 0 {
			return false
		}
		if s.shared() && s.holder(vip) != who {
			return false
		}
	}
	return true
}

// shared says that both speakers use the same MAC, so that the kernel of the
// nodes is asked whose it is.
func (s *stage) shared() bool { return s.Feature == "VMAC" }

// named is how many answers were a speaker's.
func (s *stage) named(by map[string]int, who string) (sum int) {
	for mac, n := range by {
		if s.shared() || s.mac(who, mac) {
			sum += n
		}
	}
	return sum
}

// mac says whether an answer is that of a speaker: FRR's is a virtual one.
func (s *stage) mac(who, mac string) bool {
	if strings.HasPrefix(mac, "00:00:5e:") {
		return who == theirs
	}
	return mac == s.hardware(who).String()
}

// hardware is the address of a node's eth0.
func (s *stage) hardware(who string) (mac net.HardwareAddr) {
	_ = s.nodes[who].Do(func() error { // a node that is gone has none
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return err
	})
	return mac
}

// holder is the one speaker whose node has an address; "" when none or both.
func (s *stage) holder(vip netip.Addr) string {
	var who []string
	for _, name := range []string{ours, theirs} {
		_ = s.nodes[name].Do(func() error {
			addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
			for _, a := range addrs {
				if ip, _ := netip.AddrFromSlice(a.IP); ip.Unmap() == vip {
					who = append(who, name)
				}
			}
			return err
		})
	}
	if len(who) != 1 {
		return ""
	}
	return who[0]
}

// owns waits until a speaker, and nobody else, answers for the addresses.
func (s *stage) owns(ctx context.Context, who, when string) error {
	return poll(ctx, patience+10*s.interval(), who+" alone answers "+when, func() bool { return s.answering(who) })
}

// other is the other speaker.
func other(who string) string {
	if who == ours {
		return theirs
	}
	return ours
}

// poll asks ok until it is true.
func poll(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
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

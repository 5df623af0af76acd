package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"

	"harmony/bench/lab"
)

// duo is two nodes with the same peer, and an observer, without any load.
type duo struct {
	peer   peer
	folder string
	sw     *lab.Switch
	nodes  map[string]*lab.Node // "owner", "backup", "watch"
	procs  map[string]*exec.Cmd
}

// newDuo starts them, the owner first, and waits until it has so many
// addresses.
func newDuo(ctx context.Context, p peer, addresses int) (_ *duo, err error) {
	d := &duo{peer: p, nodes: map[string]*lab.Node{}, procs: map[string]*exec.Cmd{}}
	if d.folder, err = os.MkdirTemp(lab.Scratch, p.name()); err != nil {
		return nil, err
	}
	if d.sw, err = lab.Open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.sw.Close())
		}
	}()
	for i, role := range []string{"owner", "backup", "watch"} {
		if d.nodes[role], err = d.sw.Attach(ctx, p.name()[:1]+role, fmt.Sprintf("10.93.0.%d/16", i+1)); err != nil {
			return nil, err
		}
	}
	for role, priority := range map[string]int{"owner": ownerPriority, "backup": backupPriority} {
		if err := d.start(role, priority); err != nil {
			return nil, err
		}
	}
	return d, d.until(ctx, "owner", "backup", addresses)
}

func (d *duo) start(role string, priority int) error {
	folder := filepath.Join(d.folder, role)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	cmd, err := d.peer.command(d.nodes[role], folder, role, priority)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := d.nodes[role].Start(cmd); err != nil {
		return err
	}
	d.procs[role] = cmd
	go func() { _ = cmd.Wait() }() // ends with the switch
	return nil
}

func (d *duo) close() {
	if err := d.sw.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
	}
}

// until waits until one node has all addresses, and the other one none, for a
// second.
func (d *duo) until(ctx context.Context, has, lacks string, addresses int) error {
	deadline, since := time.Now().Add(2*time.Minute), time.Time{}
	for {
		if d.count(has) == addresses && d.count(lacks) == 0 {
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) > time.Second {
				return nil
			}
		} else {
			since = time.Time{}
		}
		if time.Now().After(deadline) {
			data, _ := os.ReadFile(filepath.Join(d.folder, has, "log"))
			return fmt.Errorf("%s: the %s has %d addresses of %d, the %s %d\n%s", d.peer.name(), has, d.count(has), addresses, lacks, d.count(lacks), data[max(0, len(data)-2000):])
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// many is the subnet of the virtual addresses here.
var many = netip.MustParsePrefix("10.93.16.0/20")

// count is how many of the virtual addresses a node has.
func (d *duo) count(role string) (n int) {
	_ = d.nodes[role].Do(func() error { // an unreadable node has none
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
		for _, a := range addrs {
			if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok && many.Contains(ip) {
				n++
			}
		}
		return err
	})
	return n
}

// address is the i-th virtual address.
func address(i int) netip.Prefix {
	a := many.Addr().As4()
	a[2], a[3] = a[2]+byte((i+1)>>8), byte(i+1)
	return netip.PrefixFrom(netip.AddrFrom4(a), 16)
}

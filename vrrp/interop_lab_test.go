package vrrp_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// TestLabTakeOver is a whole life beside keepalived, for each kind of wire:
// we take over from it, it from us, and we from its corpse.
func TestLabTakeOver(t *testing.T) {
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) {
			p := newPair(t, c)
			k := p.keepalived(100, "")
			p.owner(p.b)

			e := p.ours(c.router(200))
			s := p.expect(e, vrrp.Master, vrrp.LowerPriority)
			if s.Source == "" || s.Owner.Priority != 200 {
				t.Errorf("status of a master: %+v", s)
			}
			p.owner(p.a)
			p.clean(e)

			if err := e.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.owner(p.b)

			e = p.ours(c.router(50))
			p.staysBackup(e)
			if s := status(t, e); s.Owner.Priority != 100 || s.Cause != vrrp.Startup {
				t.Errorf("status of a backup: %+v", s)
			}
			p.end(k, syscall.SIGKILL)
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			lab.Poll(t, patience, "we have the address", func() bool { return p.has(p.a) })
			p.clean(e)
		})
	}
}

// TestLabPreempt is who gives way to whom, and why.
func TestLabPreempt(t *testing.T) {
	c := cell{family: vrrp.IPv4}
	tests := []struct {
		name string
		run  func(p *pair)
	}{
		{"ours never preempts", func(p *pair) {
			k := p.keepalived(100, "")
			p.owner(p.b)
			r := c.router(200)
			r.Preempt = vrrp.PreemptNever
			e := p.ours(r)
			p.staysBackup(e)
			p.owner(p.b)
			p.end(k, syscall.SIGTERM)
			p.expect(e, vrrp.Master, vrrp.PeerReleased)
			p.owner(p.a)
			p.clean(e)
		}},
		{"ours preempts after a delay", func(p *pair) {
			p.keepalived(100, "")
			p.owner(p.b)
			r := c.router(200)
			r.Preempt, r.PreemptDelay = vrrp.PreemptDelay, 30*advertInterval
			e := p.ours(r)
			p.staysBackup(e)
			p.expect(e, vrrp.Master, vrrp.LowerPriority)
			p.owner(p.a)
		}},
		{"keepalived never preempts", func(p *pair) {
			e := p.ours(c.router(100))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.keepalived(200, "nopreempt")
			p.staysMaster(e)
			p.owner(p.a)
			if err := e.Stop(p.Context()); err != nil {
				p.Fatal(err)
			}
			p.owner(p.b)
		}},
		{"keepalived preempts", func(p *pair) {
			e := p.ours(c.router(100))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.keepalived(200, "")
			p.expect(e, vrrp.Backup, vrrp.HigherPriority)
			p.owner(p.b)
			p.clean(e)
		}},
		{"equal priorities stay where they are", func(p *pair) {
			e := p.ours(c.router(100))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.keepalived(100, "")
			p.staysMaster(e)
			p.owner(p.a)
		}},
		{"two masters heal: the higher address wins", func(p *pair) {
			e := p.ours(c.router(100))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.must(p.b.Deafen(true))
			p.keepalived(100, "")
			lab.Poll(p, patience, "both have the address", func() bool { return p.has(p.a) && p.has(p.b) })
			p.must(p.b.Deafen(false))
			p.expect(e, vrrp.Backup, vrrp.HigherAddress)
			p.owner(p.b)
		}},
		{"two masters heal: the higher priority wins", func(p *pair) {
			e := p.ours(c.router(200))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.must(p.b.Deafen(true))
			p.keepalived(100, "")
			lab.Poll(p, patience, "both have the address", func() bool { return p.has(p.a) && p.has(p.b) })
			p.must(p.b.Deafen(false))
			p.owner(p.a)
			p.staysMaster(e)
		}},
		{"link cut and healed", func(p *pair) {
			e := p.ours(c.router(200))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			p.keepalived(100, "")
			p.must(p.a.Cut())
			p.expect(e, vrrp.Fault, vrrp.LinkDown)
			p.owner(p.b)
			p.must(p.a.Heal())
			p.expect(e, vrrp.Master, vrrp.LowerPriority)
			p.owner(p.a)
			p.clean(e)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(newPair(t, c)) })
	}
}

// TestLabHandOver gives the address to keepalived, which adverts before it
// adds the address.
func TestLabHandOver(t *testing.T) {
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) {
			p := newPair(t, c)
			e := p.ours(c.router(200))
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)

			if err := e.HandOver(t.Context(), "web"); !errors.Is(err, vrrp.ErrNobodyTookOver) {
				t.Errorf("alone: want %v, got %v", vrrp.ErrNobodyTookOver, err)
			}
			p.expect(e, vrrp.Master, vrrp.HandOverRefused)
			p.owner(p.a)

			p.keepalived(100, "")
			low := c.router(200)
			low.Priority.Terms = []vrrp.Term{{Reason: "failover override", Delta: -150}}
			p.must(e.Set([]vrrp.Router{low}))
			p.must(e.HandOver(t.Context(), "web"))
			p.expect(e, vrrp.Backup, vrrp.PeerTookOver)
			p.owner(p.b)
			p.staysBackup(e)

			var notOwner vrrp.ErrNotOwner
			if err := e.HandOver(t.Context(), "web"); !errors.As(err, &notOwner) || !notOwner.Owner.IsValid() {
				t.Errorf("from a backup: got %v", err)
			}
			if err := e.HandOver(t.Context(), "dns"); !errors.Is(err, vrrp.ErrNoRouter) {
				t.Errorf("unknown router: got %v", err)
			}
			p.must(e.Set([]vrrp.Router{c.router(200)}))
			p.expect(e, vrrp.Master, vrrp.LowerPriority)
			p.owner(p.a)
			p.clean(e)
		})
	}
}

// TestLabSurrender: the worker gives up for an elector that has died.
func TestLabSurrender(t *testing.T) {
	for _, c := range append([]cell{{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: vrrp.AuthAH}}, cells...) {
		t.Run(c.String(), func(t *testing.T) {
			p := newPair(t, c)
			p.keepalived(100, "")
			p.owner(p.b)
			lab.Poll(t, patience, "keepalived is heard", func() bool { return strings.Contains(p.wire.String(), "prio 100") })
			p.must(p.a.Do(func() error {
				return errors.Join(
					kernelAddresses{}.Add("eth0", []netip.Prefix{c.vip()}),
					vrrp.Surrender([]vrrp.Router{c.router(200)}, kernelAddresses{}, false, nil, slog.New(slog.DiscardHandler)),
				)
			}))
			p.owner(p.b)
			lab.Poll(t, patience, "priority 0 is seen", func() bool { return strings.Contains(p.wire.String(), "prio 0") })
		})
	}
}

package vrrp_test

import (
	"strings"
	"syscall"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// wireCells are the wire formats beside VRRPv3 with keepalived's defaults.
var wireCells = []cell{
	{family: vrrp.IPv4, version: vrrp.VRRPv2},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, unicast: true},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: vrrp.AuthPassword},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: vrrp.AuthPassword, unicast: true},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: vrrp.AuthAH},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: vrrp.AuthAH, unicast: true},
}

// TestLabWire: in each format we take over from keepalived, keepalived from us,
// and we from its corpse.
func TestLabWire(t *testing.T) {
	for _, c := range wireCells {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c)
			k := p.keepalived(100, "")
			p.owner(p.b)

			e := p.ours(c.router(200))
			p.expect(e, vrrp.Master, vrrp.LowerPriority)
			p.owner(p.a)
			p.staysMaster(e)
			p.clean(e)

			if err := e.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.owner(p.b)

			e = p.ours(c.router(50))
			p.staysBackup(e)
			p.forms(e)
			p.end(k, syscall.SIGKILL)
			p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			lab.Poll(t, patience, "we have the address", func() bool { return p.has(p.a) })
			p.clean(e)
		})
	}
}

// forms checks that the status shows which checksums keepalived sends.
func (p *pair) forms(e *vrrp.Engine) {
	p.Helper()
	s := status(p.T, e)
	want := s.Counters.Received
	if p.version == vrrp.VRRPv2 || p.family == vrrp.IPv6 {
		want = 0 // they leave no choice
	}
	if got := s.Counters.Checksums[p.checksum]; got != want {
		p.Errorf("want %d adverts with checksum %v, got %v", want, p.checksum, s.Counters.Checksums)
	}
}

// TestLabWrongPassword: with another password neither side believes the other.
// Both serve, as two keepalived would, and both say why.
func TestLabWrongPassword(t *testing.T) {
	for auth, want := range map[vrrp.AuthType]struct {
		reason vrrp.DropReason
		log    string // keepalived's
	}{
		vrrp.AuthPassword: {vrrp.DropPassword, "received an invalid passwd"},
		vrrp.AuthAH:       {vrrp.DropAH, "IPSEC-AH : invalid IPSEC HMAC-MD5 value"},
	} {
		c := cell{family: vrrp.IPv4, version: vrrp.VRRPv2, auth: auth}
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c)
			p.keepalived(100, "")
			p.owner(p.b)

			const mistyped = "secert"
			r := c.router(200)
			r.Auth.Keys[0].Secret = vrrp.NewSecret([]byte(mistyped))
			e := p.ours(r)
			s := p.expect(e, vrrp.Master, vrrp.PeerTimedOut)
			lab.Poll(t, patience, "we refuse, and say so", func() bool {
				s = status(t, e)
				return s.Counters.Dropped[want.reason] > 1 && s.Refused != nil && strings.Contains(s.Why, "adverts of 10.0.0.2 are refused")
			})
			if s.Counters.Received > 0 {
				t.Errorf("and yet we have accepted %d", s.Counters.Received)
			}
			lab.Poll(t, patience, "keepalived refuses, and says so", func() bool { return strings.Contains(p.log.String(), want.log) })
			if strings.Contains(s.Why, mistyped) || strings.Contains(s.Why, password) {
				t.Errorf("the status shows a password: %s", s.Why)
			}
		})
	}
}

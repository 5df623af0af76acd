package vrrp_test

import (
	"syscall"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// wireCells are the wire formats beside VRRPv3 with keepalived's defaults.
var wireCells = []cell{
	{family: vrrp.IPv4, version: vrrp.VRRPv2},
	{family: vrrp.IPv4, version: vrrp.VRRPv2, unicast: true},
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

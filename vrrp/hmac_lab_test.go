package vrrp_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"harmony/bench/lab"
	"harmony/vrrp"
)

// hmacKeys returns keys with these ids; the first one signs.
func hmacKeys(ids ...uint8) vrrp.Auth {
	a := vrrp.Auth{Type: vrrp.AuthHMAC, Active: ids[0]}
	for _, id := range ids {
		a.Keys = append(a.Keys, vrrp.AuthKey{ID: id, Secret: vrrp.NewSecret(bytes.Repeat([]byte{id + 32}, 32))})
	}
	return a
}

// TestLabHMAC: two nodes of ours sign, take over from each other, and change
// keys without an interruption. keepalived signs since 2.4, which Debian does
// not have: there, the draft's vectors stand for it.
func TestLabHMAC(t *testing.T) {
	for _, c := range append([]cell{{family: vrrp.IPv4, version: vrrp.VRRPv2}}, cells...) {
		c.auth = vrrp.AuthHMAC
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c)
			ra, rb := c.router(200), c.router(100)
			if c.unicast {
				rb.Unicast = []netip.Addr{c.node(1)}
			}
			b := startEngine(t, p.b)
			p.must(b.Set([]vrrp.Router{rb}))
			p.expect(b, vrrp.Master, vrrp.PeerTimedOut)
			a := p.ours(ra)
			p.expect(a, vrrp.Master, vrrp.LowerPriority)
			p.expect(b, vrrp.Backup, vrrp.HigherPriority)
			p.owner(p.a)

			for _, auth := range []vrrp.Auth{hmacKeys(1, 2), hmacKeys(2, 1), hmacKeys(2)} {
				ra.Auth, rb.Auth = auth, auth
				p.must(b.Set([]vrrp.Router{rb}))
				p.must(a.Set([]vrrp.Router{ra}))
				p.staysBackup(b)
			}
			p.clean(a)
			p.clean(b)

			rb.Auth = hmacKeys(3)
			p.must(b.Set([]vrrp.Router{rb}))
			p.expect(b, vrrp.Master, vrrp.PeerTimedOut)
			lab.Poll(t, patience, "each refuses the other, and says so", func() bool {
				sa, sb := status(t, a), status(t, b)
				return strings.Contains(sa.Why, fmt.Sprintf("(%v)", vrrp.DropKey.String())) && strings.Contains(sb.Why, "signed with key 2")
			})
		})
	}
}

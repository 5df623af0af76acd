package vip

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSolicitedNode(t *testing.T) {
	for addr, want := range map[string]string{
		"fd00::1234:5678": "ff02::1:ff34:5678", "fe80::1": "ff02::1:ff00:1", "2001:db8::ffff:ffff": "ff02::1:ffff:ffff",
	} {
		if got := solicitedNode(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s is asked for at %s, want %s", addr, got, want)
		}
	}
}

// TestSpeaking: a link-local address that is on two interfaces, of which one
// answers, does not let the other one speak.
func TestSpeaking(t *testing.T) {
	l := ledger{claims: map[place]claim{
		at("vrrp6.1", "fe80::1/64"): placed, at("vrrp6.1", "fd00::1/64"): placed,
		at("vrrp6.2", "fe80::1/64"): placed, at("vrrp6.2", "fd00::2/64"): placed,
		at("vrrp6.3", "fe80::3/64"): placed, at("vrrp6.4", "fd00::4/64"): absent,
	}}
	for _, tc := range []struct {
		answering string
		want      []string
	}{
		{"fe80::1", nil}, {"fd00::1", []string{"vrrp6.1"}}, {"fd00::2", []string{"vrrp6.2"}}, {"fe80::3", []string{"vrrp6.3"}}, {"fd00::4", nil},
	} {
		got := slices.Sorted(maps.Keys(l.speaking([]netip.Addr{netip.MustParseAddr(tc.answering)})))
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s answers (-want +got):\n%s", tc.answering, diff)
		}
	}
}
